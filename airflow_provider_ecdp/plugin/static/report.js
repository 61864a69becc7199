// The sync report: of a task instance, or of a DAG run.

import { earlierRuns, outcomeBar, timeline } from "./charts.js";
import { badge, listedOrders, LONGEST_ID, OrderTable, showHistory } from "./orders.js";
import {
  airflowLink, announce, ask, capitalised, counted, docsLink, duration, el, followTheme, groups, IDS, moment, number,
  OF_RUN, ON_ITS_OWN, onZoneChange, read, RequestError, shortened, size, sumOf, taskLink, words, zone,
} from "./page.js";

const POLL = 15_000;
const main = document.getElementById("report");

/** The table of orders on the page; what a reader has chosen in it outlives a renewal. */
let orders = null;

/** Of the next renewal, if the run goes on. */
let timer;

followTheme();
onZoneChange(() => load(verdictShown()));
load();

async function load(verdictBefore = null) {
  try {
    const report = await read("data");
    const sections = report.kind === "other" ? otherKind() : assembled(report);
    show(ON_ITS_OWN ? [trail(), ...sections] : sections);
    orders?.load();
    const verdict = verdictShown();
    if (verdict && verdict !== verdictBefore) announce(verdict);
    document.title = [verdict, ...IDS.slice(0, 3).map(decodeURIComponent).reverse()].filter(Boolean).join(" · ");
    if (report.unfinished ?? report.task?.unfinished) poll(verdict);
  } catch (error) {
    explain(error, verdictBefore);
    // of this page's own: the console has the place
    if (!(error instanceof RequestError)) throw error;
  }
}

/** Say why there is no report; one that could only not be renewed stays, and is renewed later. */
function explain(error, verdictBefore) {
  if (verdictBefore !== null && error.status !== 401 && error.status !== 403) {
    poll(verdictBefore);
    return;
  }
  const text = error instanceof RequestError ? error.message : `The report cannot be shown: ${error.message}`;
  const again = el("button", { type: "button", onclick: () => load() }, "Try again");
  const next = loginLink(error) ?? (error.status !== 403 && el("p", {}, again));
  show(el("section.card", {}, el("p.note.error", { role: "alert" }, text), next));
}

/** A run that goes on is looked at again, unless the reader has begun to work with the page. */
function poll(verdict) {
  clearInterval(timer);
  timer = setInterval(async () => {
    if (document.hidden || main.contains(document.activeElement) || document.querySelector("dialog")) return;
    clearInterval(timer);
    await load(verdict);
  }, POLL);
}

/** The verdict on the page, null if there is none. */
function verdictShown() {
  return main.querySelector("h1")?.textContent ?? null;
}

function show(...sections) {
  main.replaceChildren(...sections.flat(2).filter(Boolean));
  main.removeAttribute("aria-busy");
}

function loginLink(error) {
  if (error.status !== 401) return null;
  return el("p", {}, airflowLink(`auth/login?next=${encodeURIComponent(location.href)}`, "Log in"));
}

function trail() {
  const [dag, run, task] = IDS.map(decodeURIComponent);
  const at = `dags/${IDS[0]}`;
  const links = [airflowLink(at, dag), airflowLink(`${at}/runs/${IDS[1]}`, run)];
  if (task) links.push(airflowLink(`${at}/runs/${IDS[1]}/tasks/${IDS[2]}`, task));
  return el("nav.trail", { "aria-label": "Breadcrumb" }, el("ol", {}, links.map((link) => el("li", {}, link))));
}

function otherKind() {
  const text = OF_RUN
    ? "No task of this DAG sends orders to ExpertSender CDP, so there is nothing to report here."
    : "This task sends no orders to ExpertSender CDP, so there is nothing to report here.";
  return [el("section.card", {}, el("p.quiet", {}, text))];
}

function assembled(report) {
  const { outcomes, source } = report;
  const total = outcomes.reduce((sum, { count }) => sum + count, 0);
  orders = source === "results" ? new OrderTable(outcomes, orders?.state) : null;
  return [
    summary(report, total, orders),
    report.notes.map(({ level, text }) => el(`p.note.${level}`, { role: "note" }, text)),
    reasons(report, orders),
    report.replay && again(report),
    orders?.element ?? (report.results?.length ? listedOrders(report.results, total, report.results_path) : null),
    OF_RUN && tasks(report),
    charts(report),
    OF_RUN ? null : details(report),
  ];
}

// what happened

const failedIn = (outcomes) => outcomes.filter((one) => one.failed).reduce((sum, { count }) => sum + count, 0);

function summary(report, total, orders) {
  const failed = failedIn(report.outcomes);
  const legend = report.outcomes.filter(({ count }) => count).map((one) => legendEntry(one, orders));
  return el(
    "section.card",
    { "aria-labelledby": "verdict" },
    el("h1", { id: "verdict" }, verdict(report, total, failed)),
    facts(report),
    total > 0 && outcomeBar(report.outcomes),
    el("ul.outcomes", {}, legend),
  );
}

function verdict(report, total, failed) {
  const unfinished = report.unfinished ?? report.task?.unfinished;
  if (report.source === null) return unfinished ? "No outcome yet" : "No outcomes";
  if (report.summary?.dry_run) {
    const invalid = report.outcomes.find(({ outcome }) => outcome === "invalid").count;
    return `Dry run: ${number(total - invalid)} of ${counted(total, "order")} could be sent; nothing was sent`;
  }
  const of = unfinished ? `${counted(total, "order")} so far` : counted(total, "order");
  if (total === 0) return unfinished ? "No outcome yet" : "There were no orders";
  if (report.ended_early) return `Ended early: ${failed ? number(failed) : "none"} of ${of} failed`;
  return failed ? `${number(failed)} of ${of} failed` : `${unfinished ? "No failure among" : "None of"} ${of}${unfinished ? "" : " failed"}`;
}

function facts({ summary: cost, settings, facts: outcomes }) {
  if (!cost) return null;
  const parts = [cost.mode ?? cost.operation];
  if (cost.requests !== undefined && !cost.dry_run) {
    const repeated = cost.retries ? `, ${number(cost.retries)} repeated` : "";
    parts.push(counted(cost.requests, "request") + repeated, size(cost.bytes ?? 0));
    if (cost.in_flight > 1) parts.push(`${number(cost.in_flight)} at a time`);
  }
  if (cost.duration_seconds) {
    parts.push(duration(cost.duration_seconds));
    const sent = sumOf(cost, outcomes.filter((one) => one.sent).map(({ outcome }) => outcome));
    if (sent > 0) parts.push(`${counted(Math.round(sent / cost.duration_seconds), "order")}/s`);
  }
  const tolerated = settings?.sent.find(({ name }) => name === "max_failed")?.value;
  if (tolerated && tolerated !== "0") parts.push(`${tolerated} may fail`);
  if (!parts.some(Boolean)) return null;
  return el("p.quiet.facts", {}, parts.filter(Boolean).map((part) => el("span", {}, part)));
}

function legendEntry({ outcome, count, meaning }, orders) {
  const inside = [
    el("span.top", {}, el(`span.dot.${outcome}`, { "aria-hidden": "true" }), words(outcome)),
    el("strong", {}, number(count)),
    el("span.quiet", {}, meaning),
  ];
  // a name with the visible words in their sequence: who speaks to the browser says those
  const hint = el("span.unseen", {}, ". Show these orders");
  if (!orders) return el("li", {}, el("span.tile", {}, inside));
  const click = () => orders.filter({ show: outcome });
  return el("li", {}, el("button.tile", { type: "button", onclick: click }, inside, hint));
}

// why

function reasons({ reasons: rows, outcomes, summary: cost }, orders) {
  if (!rows.length) return null;
  const title = cost?.dry_run ? "Why orders are invalid" : "Why orders failed";
  const others = failedIn(outcomes) - rows.reduce((sum, { count }) => sum + count, 0);
  const line = ({ reason, count, example }) => {
    const [outcome, text] = split(reason);
    const label = orders
      ? el("button.plain", { type: "button", title: "Show these orders", onclick: () => orders.filter({ show: "failed", reason }) }, shortened(text))
      : shortened(text);
    return el(
      "tr",
      {},
      el("td.figure", {}, number(count)),
      el("td", {}, badge(outcome)),
      el("td.reason", {}, label),
      el("td.example", {}, example && orders && example.length <= LONGEST_ID ? el("button.plain", { type: "button", onclick: () => showHistory(example) }, example) : (example ?? "")),
    );
  };
  return el(
    "section.card",
    { "aria-labelledby": "why" },
    el("div.head", {}, el("h2", { id: "why" }, title), docsLink("troubleshooting#orders-failed", "What to do")),
    el(
      "div.scroll",
      { tabindex: "0", role: "region", "aria-label": "Table of reasons" },
      el(
        "table",
        {},
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            el("th.figure", { scope: "col" }, "Orders"),
            el("th", { scope: "col" }, "Outcome"),
            el("th", { scope: "col" }, "Reason"),
            el("th.example", { scope: "col" }, "For example"),
          ),
        ),
        el("tbody", {}, rows.map(line)),
      ),
    ),
    others > 0 && el("p.quiet", {}, `These are the ${number(rows.length)} most frequent reasons. ${counted(others, "order")} failed for other reasons.`),
  );
}

function split(reason) {
  const at = reason.indexOf(": ");
  return [reason.slice(0, at), reason.slice(at + 2)];
}

// what next

function again(report) {
  const failed = failedIn(report.outcomes);
  const unfinished = report.unfinished ?? report.task.unfinished;
  const allGood = !failed && report.source !== null && !report.ended_early;
  if (unfinished || allGood || report.summary?.dry_run) return null;
  const options = [failed > 0 && report.replay.conf && replayOption(report), report.clear && clearOption(report)].filter(Boolean);
  if (!options.length) return null;
  // a replay would leave the orders that the task had not reached
  if (report.ended_early) options.reverse();
  return el(
    "section.card",
    { "aria-labelledby": "again" },
    el("h2", { id: "again" }, failed && !report.ended_early ? "Correct the orders, then send them again" : "Run it again"),
    el("div.options", {}, options),
  );
}

function replayOption({ replay, replays, retry_failed: retried, ended_early: endedEarly }) {
  const title = el("h3", {}, "Send the failed orders again");
  const text = el(
    "p.quiet",
    {},
    "A new run of the DAG sends only the orders that failed here, with their current content.",
    endedEarly && " Orders that the task had not reached are not among them: only running the task again sends those.",
    retried && " Without it, the next run sends those that were rejected or unresolved too: retry_failed is set.",
  );
  if (replay.paste) {
    return el(
      "div.option",
      {},
      title,
      text,
      el("p", {}, "The DAG has no ", el("code", {}, "replay_from"), " parameter yet. Add these lines:"),
      copyable(replay.paste),
      el("p", {}, "Then this button triggers the run. Or send them now from a terminal, with ", el("code", {}, "--replay-from"), ":"),
      copyable(`ecdp push EXTRACT --replay-from ${quoted(replay.conf.replay_from)}`),
    );
  }
  const button = el(endedEarly ? "button" : "button.primary", { type: "button", onclick: () => confirmReplay(text) }, "Send failed orders again");
  if (replay.allowed) return el("div.option", {}, title, text, replaysNote(replays), button);
  return el(
    "div.option",
    {},
    title,
    text,
    replaysNote(replays),
    el("p", {}, "You may not trigger this DAG. Ask someone who may to trigger it with this configuration:"),
    copyable(JSON.stringify(replay.conf, null, 2)),
  );
}

/** A text as one word of a shell, also if it holds quotes. */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Ask before a replay: with the report of now, for others may have pressed the button since the page was opened. */
function confirmReplay(text) {
  confirmed(
    "Send the failed orders again?",
    async () => {
      const { replay, replays, paused } = await read("data");
      const conf = el("pre", { tabindex: "0" }, JSON.stringify(replay.conf, null, 2));
      return [text.cloneNode(true), replaysNote(replays), el("p", {}, "The configuration of the run:"), conf, paused && pausedNote()];
    },
    "Trigger",
    async () => {
      const run = await trigger();
      return el("p", {}, "Triggered: ", airflowLink(`dags/${IDS[0]}/runs/${encodeURIComponent(run.dag_run_id)}`, run.dag_run_id));
    },
  );
}

/** Trigger the replay. Each has a date of its own, which another replay may take between the answer and the request. */
async function trigger() {
  for (let tries = 1; ; tries++) {
    const { replay } = await read("data");
    try {
      return await ask(`dags/${IDS[0]}/dagRuns`, replay.request);
    } catch (error) {
      if (error.status !== 409) throw error;
      if (tries === 3) throw new RequestError(409, "Another run of this DAG was triggered at the same time. Try again.");
    }
  }
}

/** Replays that there are already, so that nobody presses without knowing of them. */
function replaysNote(replays) {
  if (!replays?.length) return null;
  const line = ({ run_id: id, state, counts }) => {
    const sums = counts && Object.entries(counts).filter(([, count]) => count).map(([outcome, count]) => `${number(count)} ${words(outcome)}`);
    return el("li", {}, airflowLink(`dags/${IDS[0]}/runs/${encodeURIComponent(id)}`, id), `: ${[state, ...(sums ?? [])].join(", ")}`);
  };
  return el("div.note", {}, "These orders were already sent again:", el("ul", {}, replays.map(line)));
}

const pausedNote = () => el("p.note.warning", {}, "The DAG is paused: the run waits until someone unpauses it.");

function clearOption({ clear, task, ended_early: endedEarly }) {
  const title = el("h3", {}, "Run this task again");
  const text = el("p.quiet", {}, `Clears the task and its downstream tasks. ${clear.effect}`);
  if (!clear.allowed) {
    return el("div.option", {}, title, text, el("p", {}, `You may not clear this task. Ask someone who may to clear ${task.task_id} in run ${task.run_id}.`));
  }
  const button = el(endedEarly ? "button.primary" : "button", { type: "button" }, "Clear task");
  button.addEventListener("click", () =>
    confirmed("Run this task again?", () => [text.cloneNode(true)], "Clear", async () => {
      await ask(`dags/${IDS[0]}/clearTaskInstances`, clear.request);
      setTimeout(load, 1500);
      return el("p", {}, "The task is cleared, and runs again soon.");
    }),
  );
  return el("div.option", {}, title, text, button);
}

/**
 * Ask before something is done.
 *
 * @param {function} content the elements that explain it, or a promise of them
 * @param {function} act does it, and gives what to say then
 */
async function confirmed(title, content, verb, act) {
  const body = el("div", { "aria-live": "polite" }, el("p.quiet", {}, "Loading…"));
  const cancel = el("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, "Cancel");
  const go = el("button.primary", { type: "button", disabled: true }, verb);
  const foot = el("div.foot", {}, cancel, go);
  const dialog = el(
    "dialog",
    { "aria-labelledby": "question", onclose: () => dialog.remove() },
    el("h2", { id: "question" }, title),
    body,
    foot,
  );
  go.addEventListener("click", async () => {
    go.disabled = true;
    body.querySelector(".note.error")?.remove();
    try {
      const done = await act();
      body.replaceChildren(el("div.note.success", { role: "status" }, done));
      cancel.textContent = "Close";
      go.remove();
      cancel.focus();
    } catch (error) {
      body.append(el("p.note.error", { role: "alert" }, error.message));
      go.disabled = false;
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  try {
    body.replaceChildren(...(await content()).filter(Boolean));
    go.disabled = false;
  } catch (error) {
    body.replaceChildren(el("p.note.error", { role: "alert" }, error.message));
  }
}

function copyable(text) {
  const button = el("button.copy", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // a frame without the right to the clipboard: what is marked can be copied by hand
      getSelection().selectAllChildren(button.previousElementSibling);
    }
  });
  return el("div.copyable", {}, el("pre", { tabindex: "0" }, text), button);
}

// over time

function charts({ timeline: intervals, earlier, facts: outcomes }) {
  const over = intervals.length > 1 && el("section.card", { "aria-labelledby": "time" }, el("h2", { id: "time" }, "The run over time"), timeline(intervals));
  // a dry run is none of them
  const listed = earlier?.some(({ run_id: id }) => id === decodeURIComponent(IDS[1]));
  const before = listed && earlier.length > 1 && el("section.card", { "aria-labelledby": "runs" }, el("h2", { id: "runs" }, "Compared with earlier runs"), earlierRuns(earlier, outcomes));
  return over || before ? el("div.pair", {}, over, before) : null;
}

// of a DAG run

function tasks({ tasks: rows, facts: outcomes, outcomes: sums, replay }) {
  const columns = groups(outcomes);
  const hint = !replay && failedIn(sums) > 0 && "The report of each task can send its failed orders again.";
  const failures = columns.find(({ failed }) => failed).outcomes;
  const line = ({ task_id, map_index, state, counts }) => {
    const link = taskLink(task_id, map_index);
    const figures = columns.map(({ outcomes }) => (counts ? number(sumOf(counts, outcomes)) : ""));
    return el("tr", {}, el("th", { scope: "row" }, link), el("td", {}, state ?? "none"), figures.map((one) => el("td.figure", {}, one)));
  };
  // a task that failed without an outcome is in no count, so it comes first
  const unseen = ({ state, counts }) => state === "failed" && !Object.values(counts ?? {}).some(Boolean);
  const failed = (row) => (unseen(row) ? Number.MAX_SAFE_INTEGER : sumOf(row.counts ?? {}, failures));
  const sorted = rows.toSorted((a, b) => failed(b) - failed(a));
  const heads = columns.map(({ name }) => el("th.figure", { scope: "col" }, capitalised(name)));
  return el(
    "section.card",
    { "aria-labelledby": "tasks" },
    el("h2", { id: "tasks" }, counted(rows.length, "task instance")),
    hint && el("p.quiet", {}, hint),
    el(
      "div.scroll.long",
      { tabindex: "0", role: "region", "aria-label": "Table of task instances" },
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Task"), el("th", { scope: "col" }, "State"), heads)),
        el("tbody", {}, sorted.map(line)),
      ),
    ),
  );
}

// of a task instance

function details({ settings, columns, columns_used: used, warnings, results_path: path }) {
  const parts = [
    path && el("div.detail.whole", {}, el("h3", {}, "Results of every order"), copyable(path)),
    settings.read.length > 0 && el("div.detail", {}, el("h3", {}, "Read"), list(settings.read)),
    settings.sent.length > 0 && el("div.detail", {}, el("h3", {}, "Sent"), list(settings.sent)),
    Object.keys(warnings).length > 0 && el("div.detail", {}, el("h3", {}, "Warnings"), warningTable(warnings)),
    used.length > 0 && el("div.detail", {}, el("h3", {}, "Columns read by the dry run"), el("p", {}, used.join(", "))),
    columns && el("div.detail", {}, el("h3", {}, `Columns, as read since ${moment(columns.at, { seconds: false })} (${zone()})`), columnTables(columns.extracts)),
  ].filter(Boolean);
  if (!parts.length) return null;
  return el("section.card", { "aria-labelledby": "details" }, el("h2", { id: "details" }, "What was read and sent"), el("div.details", {}, parts));
}

function list(entries) {
  const value = (text) => (text.includes("\n") ? el("pre", { tabindex: "0" }, text) : el("code", {}, text));
  return el("dl", {}, entries.map((one) => [el("dt", {}, one.name === "check_only" ? "dry_run" : one.name), el("dd", {}, value(one.value))]));
}

function warningTable(warnings) {
  const line = ([name, { count, example }]) => el("tr", {}, el("td.figure", {}, number(count)), el("td", {}, words(name)), el("td", {}, el("code", {}, example ?? "")));
  const heads = [el("th.figure", { scope: "col" }, "Orders"), el("th", { scope: "col" }, "Warning"), el("th", { scope: "col" }, "For example")];
  return el("table", {}, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, Object.entries(warnings).map(line)));
}

function columnTables(extracts) {
  return Object.entries(extracts).map(([extract, columns]) => {
    const count = counted(Object.keys(columns).length, "column");
    const name = Object.keys(extracts).length > 1 ? `${extract}: ${count}` : count;
    const line = ([column, type]) => el("tr", {}, el("td", {}, el("code", {}, column)), el("td", {}, el("code", {}, type)));
    const heads = ["Column", "Type"].map((head) => el("th", { scope: "col" }, head));
    const table = el("table", {}, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, Object.entries(columns).map(line)));
    return [el("p.quiet", {}, name), el("div.scroll.columns", { tabindex: "0", role: "region", "aria-label": name }, table)];
  });
}
