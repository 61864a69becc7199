// What all parts of the page share: elements, numbers, requests with the reader's login, and Airflow's light or dark.

const UP = document.documentElement.dataset.up;

/** The address of Airflow itself, also behind a base path. */
export const AIRFLOW = new URL(`${UP}/../`, location.href);

/** The ids of the page's address, as they stand there: DAG, run, and for a task also the task and its map index. */
export const IDS = location.pathname.split("/").slice(UP === "../.." ? -2 : -4);

/** Whether the page is the report of a DAG run. */
export const OF_RUN = IDS.length === 2;

export const ON_ITS_OWN = window.parent === window;

/**
 * Make an element. Text becomes text and never markup.
 *
 * @param {string} name tag, with classes behind dots
 * @param {object} attributes `on...` are listeners, `true` and `false` set and leave out
 */
export function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  return filled(element, attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const NUMBER = new Intl.NumberFormat("en-US");
export const number = (value) => NUMBER.format(value);
export const counted = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;

export function size(bytes) {
  const units = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]];
  const [unit, one] = units.find(([, least]) => bytes >= least) ?? ["bytes", 1];
  return `${one === 1 ? number(bytes) : (bytes / one).toFixed(1)} ${unit}`;
}

export function duration(seconds) {
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Where Airflow's pages keep the time zone that a reader has chosen, as JSON. */
const ZONE_KEY = "timezone";

/** The chosen time zone, the browser's if none is chosen or the browser does not know it, as on Airflow's pages. */
export function zone() {
  const chosen = localStorage.getItem(ZONE_KEY)?.replace(/^"|"$/g, "");
  return chosen && isZone(chosen) ? chosen : Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function isZone(name) {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

/** Call `renew` when the reader chooses another time zone, on Airflow's page or in another window. */
export function onZoneChange(renew) {
  window.addEventListener("storage", ({ key, oldValue, newValue }) => {
    if (key === ZONE_KEY && oldValue !== newValue) renew();
  });
}

/** A moment in the chosen time zone, as Airflow's own pages write it. */
export function moment(text, { seconds = true, timeZone = zone() } = {}) {
  if (!text) return "";
  const units = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  const format = new Intl.DateTimeFormat("en", { ...units, hourCycle: "h23", timeZone });
  const part = Object.fromEntries(format.formatToParts(new Date(text)).map(({ type, value }) => [type, value]));
  const time = [part.hour, part.minute, ...(seconds ? [part.second] : [])].join(":");
  return `${part.year}-${part.month}-${part.day} ${time}`;
}

/** A moment as an element; in another time zone than UTC, the tooltip has UTC, as on Airflow's pages. */
export function timeOf(text) {
  if (!text) return "";
  return el("time", { datetime: text, title: zone() === "UTC" ? null : `${moment(text, { timeZone: "UTC" })} UTC` }, moment(text));
}

export const words = (outcome) => outcome.replaceAll("_", " ");

/** Outcomes as columns and bars show them: each that is not a failure by itself, and all failures as one. */
export const groups = (facts) => [
  ...facts.filter(({ failed }) => !failed).map(({ outcome }) => ({ name: words(outcome), style: outcome, outcomes: [outcome] })),
  { name: "failed", style: "rejected", failed: true, outcomes: facts.filter(({ failed }) => failed).map(({ outcome }) => outcome) },
];

/** The sum of the counts of some outcomes. */
export const sumOf = (counts, outcomes) => outcomes.reduce((sum, outcome) => sum + (counts[outcome] ?? 0), 0);

export const capitalised = (text) => text[0].toUpperCase() + text.slice(1);

/** Characters of a text that is shown whole: a reason of ECDP may be as long as a page. */
const LONG = 300;

export const shortened = (text) => (text.length > LONG ? `${text.slice(0, LONG)}…` : text);

/** A text, of which the rest shows on a click where it is long. */
export function expandable(text) {
  if (text.length <= LONG) return text;
  return el("details", {}, el("summary", {}, shortened(text)), `…${text.slice(LONG)}`);
}

/** Say something to screen readers. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

export class RequestError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

function login() {
  // Airflow before 3.1.8 reads no cookie; its pages keep the token here
  const token = localStorage.getItem("token")?.replace(/^"|"$/g, "");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function request(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { ...options, headers: { ...login(), ...options.headers } });
  } catch {
    throw new RequestError(0, "Airflow does not answer. Check the network, then try again.");
  }
  if (!response.ok) throw new RequestError(response.status, await detailOf(response));
  return response;
}

async function detailOf(response) {
  if (response.status === 401) return "You are not logged in to Airflow, or your login has expired. Log in again.";
  if (response.status === 403) return "You have no permission for this in Airflow.";
  try {
    const { detail } = await response.json();
    return typeof detail === "string" ? detail : JSON.stringify(detail);
  } catch {
    return `Airflow answered with status ${response.status}.`;
  }
}

export const dataUrl = (kind, parameters = "") =>
  new URL(`${UP}/${kind}/${IDS.join("/")}${parameters ? `?${parameters}` : ""}`, location.href);

export const read = async (kind, parameters) => (await request(dataUrl(kind, parameters))).json();

export const readBlob = async (kind, parameters) => (await request(dataUrl(kind, parameters))).blob();

/** Ask Airflow's public API for something. */
export async function ask(path, body) {
  const headers = { "Content-Type": "application/json" };
  const url = new URL(`api/v2/${path}`, AIRFLOW);
  return (await request(url, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

/** A link to one of Airflow's own pages. */
export function airflowLink(path, ...children) {
  const href = new URL(path, AIRFLOW).href;
  const leave = (event) => {
    if (ON_ITS_OWN) return;
    event.preventDefault();
    follow(href, event.ctrlKey || event.metaKey ? { target: "_blank" } : {});
  };
  return el("a", { href, onclick: leave }, ...children);
}

/** A link to the report of a task instance of this run. */
export function taskLink(taskId, mapIndex) {
  const at = `dags/${IDS[0]}/runs/${IDS[1]}/tasks/${encodeURIComponent(taskId)}`;
  if (mapIndex < 0) return airflowLink(`${at}/plugin/ecdp-report`, taskId);
  return airflowLink(`${at}/mapped/${mapIndex}/plugin/ecdp-report`, `${taskId} [${mapIndex}]`);
}

/** A link to a section of the documentation, beside Airflow's page. */
export function docsLink(path, text) {
  const { href } = new URL(`${UP}/docs/${path}`, location.href);
  const open = (event) => {
    event.preventDefault();
    follow(href, { target: "_blank" });
  };
  return el("a", { href, onclick: open }, text);
}

/** Follow a link as Airflow's page: its frame may leave no page and open no window, and in 3.1 save no file. */
export function follow(href, attributes) {
  const outside = window.parent.document;
  const link = outside.createElement("a");
  for (const [name, value] of Object.entries({ href, ...attributes })) link.setAttribute(name, value);
  outside.body.append(link);
  link.click();
  link.remove();
}

/** Names of the page's colours that Airflow's pages have too; a deployment may have chosen its own. */
const COLOURS = [
  "bg", "bg-subtle", "bg-muted", "bg-warning", "bg-info", "fg", "fg-muted", "fg-info", "border", "border-emphasized",
  "brand-solid", "brand-contrast", "brand-fg", "brand-focus-ring", "success-subtle", "success-fg", "failed-subtle",
  "failed-fg",
];

/** Follow Airflow's choice of light or dark and its colours, also when they change while the page is open. */
export function followTheme() {
  const own = document.documentElement;
  const outside = ON_ITS_OWN ? null : window.parent.document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = outside
      ? ["dark", "light"].find((theme) => outside.classList.contains(theme))
      : localStorage.getItem("theme");
    own.dataset.theme = ["dark", "light"].includes(chosen) ? chosen : dark.matches ? "dark" : "light";
    if (outside) takeColours(own, getComputedStyle(outside));
  };
  apply();
  // paper is light, and printers leave out backgrounds
  window.addEventListener("beforeprint", () => {
    own.dataset.theme = "light";
    own.removeAttribute("style");
  });
  window.addEventListener("afterprint", apply);
  dark.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  if (outside) new MutationObserver(apply).observe(outside, { attributes: true, attributeFilter: ["class"] });
}

function takeColours(own, style) {
  for (const name of COLOURS) {
    const colour = style.getPropertyValue(`--chakra-colors-${name}`);
    if (colour) own.style.setProperty(`--${name}`, colour);
    else own.style.removeProperty(`--${name}`);
  }
}
