// Shows the relay's public figures live: NetworkInfo JSON over server-sent
// events (crates/protocol/src/api.rs). Text only: nothing from the network is
// ever parsed as HTML.
"use strict";

const FUEL_PER_POINT = 1e9;
const REASONS = { exit: "exit", trap: "trap", out_of_fuel: "out of fuel", stack: "stack limit", output_limit: "output limit" };
const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const points = (fuel) => new Intl.NumberFormat("en", { maximumFractionDigits: fuel < 100 * FUEL_PER_POINT ? 3 : 0 }).format(fuel / FUEL_PER_POINT);
const clock = new Intl.DateTimeFormat("en", { timeStyle: "medium", hour12: false });

function cell(text, className = "", title = "") {
  const td = document.createElement("td");
  td.textContent = text;
  td.className = className;
  if (title) td.title = title;
  return td;
}

const id = (hex) => cell(`${hex.slice(0, 12)}…`, "id", hex);

/** Replaces a table's rows; an empty list leaves the page's own hint. */
function fill(body, list, row) {
  body.hint ??= body.firstElementChild;
  const rows = list.map((item) => {
    const tr = document.createElement("tr");
    tr.append(...row(item));
    return tr;
  });
  body.replaceChildren(...(rows.length ? rows : [body.hint]));
}

function show(info) {
  for (const key of ["nodes_online", "tasks_waiting", "tasks_leased", "tasks_done"]) byId(key).textContent = number.format(info[key]);
  byId("points").textContent = points(info.fuel);
  byId("relay").textContent = info.relay;
  byId("version").textContent = info.version;
  byId("protocol").textContent = info.protocol.join(", ");
  fill(byId("nodes"), info.nodes, (node) => [
    id(node.node), cell(node.agent), cell(number.format(node.leased), "n"), cell(number.format(node.tasks), "n"), cell(points(node.fuel), "n"),
  ]);
  const hidden = info.nodes_online - info.nodes.length;
  byId("more").hidden = hidden <= 0;
  byId("more").textContent = `and ${number.format(hidden)} more`;
  fill(byId("receipts"), info.receipts, (receipt) => [
    cell(number.format(receipt.seq), "n"), id(receipt.receipt), id(receipt.node),
    cell(REASONS[receipt.reason] ?? receipt.reason, receipt.reason === "exit" ? "" : "bad"),
    cell(number.format(receipt.fuel), "n"), cell(clock.format(receipt.time_ms)),
  ]);
}

function link(state, text) {
  const element = byId("link");
  if (element.dataset.state === state) return;
  element.dataset.state = state;
  element.textContent = text;
}

// EventSource connects again by itself; the page only says so.
const live = new EventSource("/v1/network/live");
live.onmessage = (event) => {
  show(JSON.parse(event.data));
  link("live", "Live");
};
live.onerror = () => link("lost", "The relay can’t be reached; trying again. The figures below are the last ones.");
