// The relay's status page: shows each NetworkInfo that /v1/network/live sends.
// Everything is set as text, never as HTML: nodes choose their own names.
"use strict";

const FUEL_PER_POINT = 1e9;
const MINUTE = 60_000;
const REOPEN_AFTER = 5_000;

const byId = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");
const decimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const small = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

function points(fuel) {
  const value = fuel / FUEL_PER_POINT;
  if (value >= 1000) return whole.format(Math.round(value));
  return value >= 10 ? decimal.format(value) : small.format(value);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/// A key's first digits, beside a colour that is the same wherever it appears.
function keyCell(key) {
  const cell = element("td");
  const label = element("span", "key");
  const swatch = element("span", "swatch");
  const hue = parseInt(key.slice(0, 4), 16) % 360;
  swatch.style.background = `hsl(${hue} 60% 50%)`;
  swatch.setAttribute("aria-hidden", "true");
  const code = element("code", "", key.slice(0, 12));
  code.title = key;
  label.append(swatch, code);
  cell.append(label);
  return cell;
}

const ENDINGS = {
  exit: ["exit", "good"],
  trap: ["trap", "bad"],
  out_of_fuel: ["out of fuel", "bad"],
  stack: ["stack limit", "bad"],
  output_limit: ["output limit", "bad"],
};

function nodeRow(node) {
  const row = element("tr");
  const software = element("td", "software", node.agent || "unnamed");
  software.title = node.agent;
  row.append(
    keyCell(node.node),
    software,
    element("td", "number", whole.format(node.leased)),
    element("td", "number", whole.format(node.tasks)),
    element("td", "number", points(node.fuel)),
  );
  return row;
}

function receiptRow(receipt, isNew) {
  const row = element("tr", isNew ? "new" : "");
  const when = element("td");
  const time = element("time", "", clock.format(receipt.time_ms));
  time.dateTime = new Date(receipt.time_ms).toISOString();
  when.append(time);
  const [words, tone] = ENDINGS[receipt.reason] ?? [receipt.reason, ""];
  const digest = element("td");
  const code = element("code", "", receipt.receipt.slice(0, 12));
  code.title = receipt.receipt;
  digest.append(code);
  row.append(
    when,
    keyCell(receipt.node),
    element("td", tone, words),
    element("td", "number", points(receipt.fuel)),
    digest,
    element("td", "number", whole.format(receipt.seq)),
  );
  return row;
}

let lastSeq;
function showReceipts(receipts) {
  const known = lastSeq;
  lastSeq = receipts[0]?.seq ?? 0;
  if (known === lastSeq) return;
  const isNew = (receipt) => known !== undefined && receipt.seq > known;
  byId("receipts").replaceChildren(...receipts.map((r) => receiptRow(r, isNew(r))));
  byId("receipts-empty").hidden = receipts.length > 0;
}

function showNodes(info) {
  byId("nodes").replaceChildren(...info.nodes.map(nodeRow));
  byId("nodes-empty").hidden = info.nodes.length > 0;
  const more = info.nodes_online - info.nodes.length;
  byId("nodes-more").hidden = more <= 0;
  setText(byId("nodes-more"), `and ${whole.format(more)} more.`);
}

/// Times and counts of the last minute.
const history = [];

function showRate(done, now) {
  if (history.length > 0 && done < history[history.length - 1].done) history.length = 0;
  history.push({ at: now, done });
  while (history.length > 2 && history[1].at < now - MINUTE) history.shift();
  const rates = [];
  for (let i = 1; i < history.length; i++) {
    const seconds = Math.max((history[i].at - history[i - 1].at) / 1000, 0.2);
    rates.push({ at: history[i].at, rate: (history[i].done - history[i - 1].done) / seconds });
  }
  const recent = history.filter((point) => point.at >= now - 5_000);
  const span = (now - recent[0].at) / 1000;
  const rate = span > 0 ? (done - recent[0].done) / span : 0;
  setText(byId("rate"), decimal.format(rate));

  const top = Math.max(1, ...rates.map((point) => point.rate));
  const place = ({ at, rate }) => {
    const x = 600 * (1 - Math.min((now - at) / MINUTE, 1));
    return `${x.toFixed(1)} ${(78 - (74 * rate) / top).toFixed(1)}`;
  };
  if (rates.length === 0) return;
  const path = `M ${rates.map(place).join(" L ")}`;
  const first = place(rates[0]).split(" ")[0];
  const last = place(rates[rates.length - 1]).split(" ")[0];
  byId("line").setAttribute("d", path);
  byId("area").setAttribute("d", `${path} L ${last} 80 L ${first} 80 Z`);
}

let latest;
function show(info) {
  for (const id of ["nodes_online", "tasks_leased", "tasks_waiting", "tasks_done"]) {
    setText(byId(id), whole.format(info[id]));
  }
  setText(byId("points"), points(info.fuel));
  setText(byId("relay"), info.relay);
  setText(byId("version"), info.version);
  setText(byId("protocol"), info.protocol.join(", "));
  showNodes(info);
  showReceipts(info.receipts);
  latest = info;
}

// The relay sends only what changed, so the chart moves by its own clock.
setInterval(() => {
  if (latest && document.visibilityState === "visible") showRate(latest.tasks_done, Date.now());
}, 1_000);

function streamIs(state, words) {
  const stream = byId("stream");
  stream.dataset.state = state;
  setText(stream, words);
}

let lastHeard;
function lost() {
  streamIs("lost", "Stream lost, trying again");
  const since = lastHeard ? `the figures are from ${clock.format(lastHeard)}` : "there are no figures yet";
  setText(byId("lost"), `The relay can't be reached; ${since}. This page goes on trying.`);
  byId("lost").hidden = false;
}

function open() {
  const source = new EventSource("v1/network/live");
  source.onmessage = (event) => {
    lastHeard = Date.now();
    byId("lost").hidden = true;
    streamIs("live", "Live");
    show(JSON.parse(event.data));
  };
  source.onerror = () => {
    lost();
    // A relay that refuses the stream ends it for good: ask again later.
    if (source.readyState === EventSource.CLOSED) setTimeout(open, REOPEN_AFTER);
  };
}

open();
