// Charts without a library: outcomes as one bar, a run over time, and a run beside those before it.

import { airflowLink, capitalised, counted, el, groups, IDS, moment, number, sumOf, svg, timeOf, words, zone } from "./page.js";

/** One bar of all orders, a part for each outcome; the legend below it has the numbers. */
export function outcomeBar(outcomes) {
  const total = outcomes.reduce((sum, { count }) => sum + count, 0);
  const bar = el("div.bar", { "aria-hidden": "true" });
  for (const { outcome, count } of outcomes) {
    if (!count) continue;
    const part = el(`span.part.${outcome}`, { title: `${counted(count, "order")} ${words(outcome)}` });
    // a few failures among a million are still seen
    part.style.flex = `${count} 1 4px`;
    bar.append(part);
  }
  if (!total) bar.append(el("span.part.none"));
  return bar;
}

/** On a phone, a chart that shrinks would shrink its text. */
const WIDTH = innerWidth > 640 ? 640 : 340;
const HEIGHT = 150;
const LEFT = 44;
const BOTTOM = 20;
const TOP = 8;

function frame(label, most, ...children) {
  return framed(label, most, HEIGHT, [0, 0.5, 1], children);
}

function framed(label, most, height, shares, children) {
  const lines = shares.map((share) => {
    const y = TOP + (height - TOP - BOTTOM) * (1 - share);
    return [
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y, y2: y }),
      svg("text", { class: "tick", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, short(most * share)),
    ];
  });
  const attributes = { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label, class: "chart" };
  return svg("svg", attributes, lines, children);
}

function short(value) {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (value >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  return number(Number(value.toPrecision(3)));
}

/** The next number that reads well on an axis. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 2, 2.5, 5, 10].find((step) => step * power >= value) * power;
}

function xTick(x, text, anchor) {
  return svg("text", { class: "tick", x, y: HEIGHT - 4, "text-anchor": anchor }, text);
}

/** A chart's numbers for those who cannot see it, and for those who want them. */
function asTable(heads, rows) {
  return el(
    "details.numbers",
    {},
    el("summary", {}, "Show as a table"),
    el(
      "div.scroll",
      { tabindex: "0", role: "region", "aria-label": "Numbers of the chart" },
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, heads.map((head, i) => el(i ? "th.figure" : "th", { scope: "col" }, head)))),
        el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, i) => el(i ? "td.figure" : "td", {}, cell))))),
      ),
    ),
  );
}

const LOW = 70;

/** Requests a second, as a low chart below the orders. */
function requestsOver(intervals) {
  const rates = intervals.map(({ requests, seconds }) => requests / seconds);
  const most = ceiling(Math.max(...rates));
  const step = (WIDTH - LEFT) / intervals.length;
  const bars = rates.map((rate, i) => {
    const height = Math.max(rate ? 1 : 0, (rate / most) * (LOW - TOP - BOTTOM));
    const width = Math.max(1, Math.min(step - Math.min(2, step / 3), 48));
    const title = `${moment(intervals[i].start)}: ${short(rate)} requests/s`;
    const bar = { class: "requests", x: LEFT + i * step + Math.min(1, step / 6), y: LOW - BOTTOM - height, width, height };
    return svg("g", {}, svg("title", {}, title), svg("rect", bar));
  });
  return framed("Requests per second over the same time", most, LOW, [0, 1], bars);
}

/** Orders a second over the time of a run, with those that failed or went out more than once, and requests a second. */
export function timeline(intervals) {
  const rates = intervals.map(({ sent, seconds }) => sent / seconds);
  const most = ceiling(Math.max(...rates, ...intervals.map(({ failed, seconds }) => failed / seconds)));
  const step = (WIDTH - LEFT) / intervals.length;
  const scale = (HEIGHT - TOP - BOTTOM) / most;
  const bar = (i, rate, kind, base = 0) =>
    svg("rect", {
      class: kind,
      x: LEFT + i * step + Math.min(1, step / 6),
      y: HEIGHT - BOTTOM - (base + rate) * scale,
      width: Math.max(1, Math.min(step - Math.min(2, step / 3), 48)),
      height: Math.max(rate ? 1 : 0, rate * scale),
    });
  const bars = intervals.map(({ sent, failed, repeated, seconds, start }, i) => {
    const bad = Math.min(failed, sent) / seconds;
    const again = Math.min(repeated, sent - Math.min(failed, sent)) / seconds;
    const good = sent / seconds - bad - again;
    const title = `${moment(start)}: ${number(Math.round(sent / seconds))} orders/s, ${number(failed)} failed`;
    return svg(
      "g",
      {},
      svg("title", {}, title),
      bar(i, good, "accepted"),
      bar(i, again, "again", good),
      bar(i, bad, "rejected", good + again),
    );
  });
  const [first, last] = [intervals[0], intervals.at(-1)];
  const label = `Orders sent per second, from ${moment(first.start)} to ${moment(last.start)}, ${zone()}`;
  return el(
    "figure",
    {},
    frame(
      label,
      most,
      bars,
      xTick(LEFT, moment(first.start).slice(11), "start"),
      intervals.length > 1 && xTick(WIDTH, moment(last.start).slice(11), "end"),
    ),
    el(
      "figcaption.legend",
      {},
      key("accepted", "orders per second"),
      intervals.some(({ repeated }) => repeated) && key("again", "sent more than once"),
      intervals.some(({ failed }) => failed) && key("rejected", "failed"),
    ),
    requestsOver(intervals),
    el("p.legend", {}, key("requests", "requests per second whose answer decided an outcome")),
    asTable(
      [`Time (${zone()})`, "Orders per second", "Requests per second", "Sent", "Failed", "Sent more than once"],
      intervals.map(({ start, seconds, requests, sent, failed, repeated }) => [
        timeOf(start),
        number(Number((sent / seconds).toPrecision(3))),
        number(Number((requests / seconds).toPrecision(3))),
        number(sent),
        number(failed),
        number(repeated),
      ]),
    ),
  );
}

const key = (kind, text) => el("span.key", {}, el(`span.dot.${kind}`, { "aria-hidden": "true" }), text);

/** Orders of this run and of those before it, by groups of outcomes. */
export function earlierRuns(runs, facts) {
  const shown = groups(facts);
  const parts = runs.map((run) => ({
    run_id: run.run_id,
    at: run.at,
    counts: shown.map(({ outcomes }) => sumOf(run, outcomes)),
  }));
  const most = ceiling(Math.max(...parts.map(({ counts }) => counts.reduce((sum, count) => sum + count)), 1));
  const step = (WIDTH - LEFT) / Math.max(parts.length, 8);
  const scale = (HEIGHT - TOP - BOTTOM) / most;
  const current = decodeURIComponent(IDS[1]);
  const bars = parts.map((one, i) => {
    let below = 0;
    const rects = shown.map(({ style }, group) => {
      const count = one.counts[group];
      const height = count ? Math.max(count * scale, 1.5) : 0;
      below += height;
      const at = { x: LEFT + i * step + step * 0.15, y: HEIGHT - BOTTOM - below };
      return svg("rect", { class: style, ...at, width: step * 0.7, height });
    });
    const title = `${moment(one.at)}: ${shown.map(({ name }, group) => `${number(one.counts[group])} ${name}`).join(", ")}`;
    const mark = one.run_id === current && svg("rect", {
      class: "current",
      x: LEFT + i * step + step * 0.15,
      y: HEIGHT - BOTTOM + 3,
      width: step * 0.7,
      height: 3,
    });
    return svg("g", {}, svg("title", {}, title), rects, mark);
  });
  return el(
    "figure",
    {},
    frame(`Orders of ${counted(parts.length, "run")}, the newest on the right`, most, bars),
    el(
      "figcaption.legend",
      {},
      shown.map(({ style, name }) => key(style, name)),
      key("current", "this run"),
    ),
    asTable(
      [`Run (${zone()})`, ...shown.map(({ name }) => capitalised(name))],
      parts
        .toReversed()
        .map((one) => [
          airflowLink(`dags/${IDS[0]}/runs/${encodeURIComponent(one.run_id)}`, timeOf(one.at)),
          ...one.counts.map(number),
        ]),
    ),
  );
}
