// The table of orders: searched, filtered, sorted and cut into pages by the server; a click shows an order's history.

import {
  airflowLink, counted, dataUrl, el, expandable, follow, IDS, number, OF_RUN, read, readBlob, RequestError, shortened,
  taskLink, timeOf, words, zone,
} from "./page.js";

const PAGE = 25;
const SEARCH_DELAY = 250;

/** Characters of the longest id that the server looks up: an id beyond it is against the API's rules, and was never sent. */
export const LONGEST_ID = 1000;

/** The columns, and what the server calls them where it can sort by them. */
const columns = () => [
  ["Order", "order_id"],
  ["Outcome", "outcome"],
  ["Reason", "reason"],
  ["HTTP status", "http_status"],
  ["Requests", "attempts"],
  [`Time (${zone()})`, "at"],
];
/** In a DAG run, behind the order; the server does not sort by it. */
const TASK = "Task";
const FIGURES = new Set(["http_status", "attempts"]);

export class OrderTable {
  /**
   * @param {Array} outcomes of the report
   * @param {object} chosen what a reader has chosen in the table that this one replaces
   */
  constructor(outcomes, chosen) {
    this.outcomes = outcomes;
    this.failed = outcomes.some(({ failed, count }) => failed && count);
    const first = { show: this.failed ? "failed" : "all", text: "", reason: null, sort: "order_id", descending: false, offset: 0 };
    this.state = chosen?.touched ? { ...first, ...chosen } : first;
    this.asked = 0;
    this.body = el("tbody");
    this.columns = columns();
    this.heads = this.columns.map(([title, column]) => this.head(title, column));
    this.allHeads = OF_RUN ? this.heads.toSpliced(1, 0, el("th", { scope: "col" }, TASK)) : this.heads;
    this.status = el("p.quiet", { role: "status" }, "Loading the orders…");
    this.previous = el("button", { type: "button", disabled: true, onclick: () => this.turn(-1) }, "Previous");
    this.next = el("button", { type: "button", disabled: true, onclick: () => this.turn(1) }, "Next");
    this.chip = el("span.chip", { hidden: true });
    this.element = this.assembled();
  }

  assembled() {
    const table = el(
      "table.orders",
      {},
      el("caption.unseen", {}, "Orders with their outcomes"),
      el("thead", {}, el("tr", {}, this.allHeads)),
      this.body,
    );
    this.region = el("div.scroll", { tabindex: "0", role: "region", "aria-label": "Table of orders" }, table);
    return el(
      "section.card",
      { "aria-labelledby": "orders" },
      el("div.head", {}, el("h2", { id: "orders" }, "Orders"), this.toolbar()),
      this.chip,
      this.region,
      el("div.pager", {}, this.status, el("span.buttons", {}, this.previous, this.next)),
    );
  }

  toolbar() {
    let timer;
    this.search = el("input", {
      type: "search",
      placeholder: "Search id or reason",
      "aria-label": "Search order ids and reasons",
      maxlength: "500",
      value: this.state.text,
      oninput: () => {
        clearTimeout(timer);
        timer = setTimeout(() => this.change({ text: this.search.value.trim() }), SEARCH_DELAY);
      },
    });
    const option = (value, text) => el("option", { value, selected: value === this.state.show }, text);
    this.select = el(
      "select",
      { "aria-label": "Outcome", onchange: () => this.change({ show: this.select.value }) },
      option("failed", "All failed"),
      option("all", "All orders"),
      this.outcomes.filter(({ count }) => count).map(({ outcome, count }) => option(outcome, `${words(outcome)} (${number(count)})`)),
    );
    this.download = el("button", { type: "button", onclick: () => this.save() }, "Download CSV");
    return el("div.tools", {}, this.search, this.select, this.download);
  }

  head(title, column) {
    return el(
      "th",
      { scope: "col", class: FIGURES.has(column) ? "figure" : null },
      el("button.sort", { type: "button", onclick: () => this.sort(column) }, title),
    );
  }

  sort(column) {
    const descending = this.state.sort === column && !this.state.descending;
    this.change({ sort: column, descending });
  }

  /** Show what the rest of the page asks for, and move there. */
  filter({ show, reason = null }) {
    this.select.value = show;
    this.search.value = "";
    this.change({ show, reason, text: "" });
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.element.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
    this.region.focus({ preventScroll: true });
  }

  change(changes) {
    this.state = { ...this.state, offset: 0, ...changes, touched: true };
    return this.load();
  }

  turn(by) {
    this.state.offset = Math.max(0, this.state.offset + by * PAGE);
    this.state.touched = true;
    return this.load();
  }

  parameters() {
    const { show, text, reason } = this.state;
    const parameters = new URLSearchParams();
    if (show === "failed") parameters.set("failed", "true");
    else if (show !== "all") parameters.set("outcome", show);
    if (text) parameters.set("text", text);
    if (reason) parameters.set("reason", reason);
    return parameters;
  }

  async load() {
    const asked = ++this.asked;
    const { sort, descending, offset } = this.state;
    const parameters = this.parameters();
    for (const [name, value] of Object.entries({ sort, descending, offset, limit: PAGE })) parameters.set(name, value);
    this.region.setAttribute("aria-busy", "true");
    try {
      const page = await read("orders", parameters);
      // an answer that a later question has overtaken
      if (asked === this.asked) this.show(page);
    } catch (error) {
      if (asked !== this.asked) return;
      this.body.replaceChildren();
      this.status.textContent = error.message;
      if (!(error instanceof RequestError)) throw error;
    } finally {
      if (asked === this.asked) this.region.removeAttribute("aria-busy");
    }
  }

  show({ rows, total }) {
    const { offset, sort, descending } = this.state;
    this.columns.forEach(([, column], i) => {
      const order = descending ? "descending" : "ascending";
      if (column === sort) this.heads[i].setAttribute("aria-sort", order);
      else this.heads[i].removeAttribute("aria-sort");
    });
    this.body.replaceChildren(...rows.map((row) => this.row(row)));
    this.region.scrollTop = 0;
    const range = `${number(offset + 1)} to ${number(offset + rows.length)} of ${counted(total, "order")}`;
    this.status.textContent = total ? range : "No orders match.";
    this.previous.disabled = offset === 0;
    this.next.disabled = offset + rows.length >= total;
    this.showReason();
  }

  showReason() {
    const { reason } = this.state;
    this.chip.hidden = !reason;
    const clear = el("button.plain", { type: "button", onclick: () => this.change({ reason: null }) }, "Show all reasons");
    this.chip.replaceChildren(...(reason ? ["Reason: ", el("strong", {}, shortened(reason)), " ", clear] : []));
  }

  row({ order_id, outcome, reason, http_status, attempts, at, run }) {
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, orderCell(order_id)),
      OF_RUN && el("td", {}, taskOf(run)),
      el("td", {}, badge(outcome)),
      el("td.reason", {}, expandable(reason ?? "")),
      el("td.figure", {}, http_status ?? ""),
      el("td.figure", {}, attempts ?? ""),
      el("td.time", {}, timeOf(at)),
    );
  }

  async save() {
    const parameters = this.parameters();
    if (!localStorage.getItem("token")) {
      // the browser writes it to the disk as it comes
      follow(dataUrl("csv", parameters).href, { download: "orders.csv" });
      return;
    }
    this.download.disabled = true;
    try {
      const url = URL.createObjectURL(await readBlob("csv", parameters));
      follow(url, { download: "orders.csv" });
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } catch (error) {
      this.status.textContent = error.message;
    } finally {
      this.download.disabled = false;
    }
  }
}

/** An order's id, which shows its history if the server can look it up. */
function orderCell(id) {
  if (id === null) return el("span.quiet", {}, "without an id");
  if (id.length > LONGEST_ID) return el("span", { title: id }, id);
  const text = id.trim() ? id : JSON.stringify(id);
  return el("button.plain", { type: "button", title: `Show the history of ${text}`, onclick: () => showHistory(id) }, text);
}

/** The task of a row, by the folder of its results: task, map index if it is mapped, epoch. */
function taskOf(folder) {
  const parts = folder.split("/").map(decodeURIComponent);
  return taskLink(parts[0], parts.length > 2 ? Number(parts[1]) : -1);
}

export const badge = (outcome) => el(`span.badge.${outcome}`, {}, words(outcome));

/** The orders that XCom lists, where there are no results to ask. */
export function listedOrders(results, total, kept) {
  const rows = results.map(({ order_id, outcome, reason, http_status, attempts }) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, order_id ?? el("span.quiet", {}, "without an id")),
      el("td", {}, badge(outcome)),
      el("td.reason", {}, expandable(reason ?? "")),
      el("td.figure", {}, http_status ?? ""),
      el("td.figure", {}, attempts ?? ""),
    ),
  );
  const heads = columns().slice(0, 5).map(([title, column]) => el("th", { scope: "col", class: FIGURES.has(column) ? "figure" : null }, title));
  return el(
    "section.card",
    { "aria-labelledby": "orders" },
    el("div.head", {}, el("h2", { id: "orders" }, "Orders in XCom")),
    el(
      "p.quiet",
      {},
      `XCom lists ${number(results.length)} of ${counted(total, "order")}, failures first. `,
      !kept && "With results_path, the outcome of every order is kept, and this page lists, searches and exports all of them.",
    ),
    el(
      "div.scroll",
      { tabindex: "0", role: "region", "aria-label": "Table of orders in XCom" },
      el("table.orders", {}, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, rows)),
    ),
  );
}

/** An order over runs, in a dialog. */
export async function showHistory(orderId) {
  const content = el("div", { "aria-live": "polite" }, el("p.quiet", {}, "Searching the results of earlier runs…"));
  const dialog = el(
    "dialog.wide",
    { "aria-labelledby": "history", onclose: () => dialog.remove(), onclick: (event) => event.target === dialog && dialog.close() },
    el(
      "div.head",
      {},
      el("h2", { id: "history" }, "Order ", el("span.id", {}, orderId)),
      el("button", { type: "button", onclick: () => dialog.close() }, "Close"),
    ),
    content,
  );
  document.body.append(dialog);
  dialog.showModal();
  try {
    const { rows, runs, unread } = await read("history", new URLSearchParams({ order_id: orderId }));
    const parts = [
      el("p.quiet", {}, `${rows.length ? counted(rows.length, "outcome") : "No outcome"} in ${runs > 1 ? `this run and the ${number(runs - 1)} before it` : "this run"}${rows.length > 1 ? ", the newest first" : ""}.`),
      unread.length > 0 && el("p.note.warning", {}, `The results of ${counted(unread.length, "run")} cannot be read, as the report of each says: `, unread.map((run, i) => [i > 0 && ", ", runLink(run)])),
      rows.length > 0 && historyTable(rows),
    ];
    content.replaceChildren(...parts.filter(Boolean));
  } catch (error) {
    content.replaceChildren(el("p.note.error", {}, error.message));
  }
}

const runLink = (run) => airflowLink(`dags/${IDS[0]}/runs/${encodeURIComponent(run)}`, run);

function historyTable(rows) {
  const line = (row) =>
    el(
      "tr",
      {},
      el("td.time", {}, timeOf(row.at)),
      el("td", {}, badge(row.outcome)),
      el("td.reason", {}, expandable(row.reason ?? "")),
      el("td.figure", {}, row.http_status ?? ""),
      el(
        "td",
        {},
        row.this_run ? "this run" : el("code", {}, runLink(row.run)),
      ),
    );
  const heads = [`Time (${zone()})`, "Outcome", "Reason", "HTTP status", "Run"];
  return el(
    "div.scroll",
    { tabindex: "0", role: "region", "aria-label": "History of the order" },
    el(
      "table.orders",
      {},
      el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col", class: head === "HTTP status" ? "figure" : null }, head)))),
      el("tbody", {}, rows.toReversed().map(line)),
    ),
  );
}
