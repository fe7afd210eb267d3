// Keeps the page live. The page works without it; nothing here writes to the controller, and all that comes from it is put in
// as text, never as markup.
"use strict";
(() => {
  const list = document.getElementById("list");
  const rows = document.getElementById("rows");
  const count = document.getElementById("count");
  const search = document.getElementById("search");
  const pages = document.getElementById("pages");
  const STATES = ["failed", "held", "paused", "pending", "synced", "standby"];
  // Rows beyond what is seen, so that scrolling shows no gap.
  const SPARE = 10;
  const entries = new Map();
  let shown = [];
  let sort = { key: "state", down: false };
  let rowHeight = 34;

  const element = (name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };

  // Times: how long ago, and how long still.
  const span = (seconds) => {
    const s = Math.max(0, Math.round(seconds));
    if (s < 120) return s + " s";
    if (s < 7200) return Math.floor(s / 60) + " min " + (s % 60) + " s";
    if (s < 172800) return Math.floor(s / 3600) + " h";
    return Math.floor(s / 86400) + " d";
  };
  const tick = () => {
    const now = Date.now();
    for (const time of document.querySelectorAll("time[data-until]")) {
      const rest = (Date.parse(time.dateTime) - now) / 1000;
      time.textContent = time.dateTime + (rest > 0 ? " (in " + span(rest) + ")" : " (due, when the registry agrees)");
    }
    for (const time of document.querySelectorAll("time[data-ago]")) {
      time.textContent = span((now - Date.parse(time.dateTime)) / 1000) + " ago";
    }
  };

  // The list: all entries are kept as data, and only the rows that are seen are made.
  const value = (entry, key) => {
    switch (key) {
      case "endpoints": return entry.endpoints;
      case "listed": return entry.instances.listed ?? -1;
      case "lastWrite": return entry.lastWrite ? Date.parse(entry.lastWrite.at) : 0;
      case "state": return STATES.indexOf(entry.state) * 2 + (entry.problems.length ? 0 : 1);
      default: return entry[key];
    }
  };
  const compare = (a, b) => {
    const [x, y] = [value(a, sort.key), value(b, sort.key)];
    const order = x < y ? -1 : x > y ? 1 : a.entry < b.entry ? -1 : 1;
    return sort.down ? -order : order;
  };
  const pick = () => {
    const text = search.elements.q.value.trim().toLowerCase();
    const state = search.elements.state.value;
    const fits = (entry) => (!state || entry.state === state)
      && (!text || entry.entry.toLowerCase().includes(text) || entry.service.toLowerCase().includes(text));
    shown = [...entries.values()].filter(fits).sort(compare);
    count.textContent = shown.length + " of " + entries.size;
    draw();
  };
  const space = (height) => {
    const row = element("tr", undefined, "space");
    const cell = element("td");
    cell.colSpan = 6;
    cell.style.height = height + "px";
    row.setAttribute("aria-hidden", "true");
    row.append(cell);
    return row;
  };
  const row = (entry, index) => {
    const made = element("tr");
    made.setAttribute("aria-rowindex", index + 2);
    const link = element("a", entry.entry);
    link.href = "?entry=" + encodeURIComponent(entry.entry) + "#entry";
    const name = element("td");
    name.append(link);
    const state = element("td");
    state.append(element("span", entry.state, "state " + entry.state));
    if (entry.problems.length) state.append(" ", element("span", entry.problems[0].condition, "tag"));
    const written = element("td");
    if (entry.lastWrite) {
      const time = element("time", span((Date.now() - Date.parse(entry.lastWrite.at)) / 1000) + " ago");
      time.dateTime = entry.lastWrite.at;
      time.dataset.ago = "";
      written.append(time);
    } else {
      written.textContent = "-";
    }
    made.append(name, element("td", entry.service || "-"), state, element("td", entry.endpoints, "number"),
      element("td", entry.instances.listed ?? "-", "number"), written);
    return made;
  };
  const draw = () => {
    const first = Math.max(0, Math.floor(list.scrollTop / rowHeight) - SPARE);
    const last = Math.min(shown.length, first + Math.ceil(list.clientHeight / rowHeight) + 2 * SPARE);
    const made = [];
    if (first > 0) made.push(space(first * rowHeight));
    for (let index = first; index < last; index++) made.push(row(shown[index], index));
    if (last < shown.length) made.push(space((shown.length - last) * rowHeight));
    rows.replaceChildren(...made);
    const one = rows.querySelector("tr:not(.space)");
    if (one && one.offsetHeight) rowHeight = one.offsetHeight;
    rows.closest("table").setAttribute("aria-rowcount", shown.length + 1);
  };
  let drawing = false;
  const soon = (what) => {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => { drawing = false; what(); });
  };

  const heads = () => {
    for (const head of list.querySelectorAll("th[data-key]")) {
      const button = element("button", head.textContent);
      button.type = "button";
      button.addEventListener("click", () => {
        sort = { key: head.dataset.key, down: sort.key === head.dataset.key && !sort.down };
        for (const other of list.querySelectorAll("th[data-key]")) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
        list.scrollTop = 0;
        pick();
      });
      head.replaceChildren(button);
    }
  };

  // Lines of how old the last answer of a registry was, in the last minutes.
  const ages = new Map();
  const fresh = (servers) => {
    for (const server of servers) {
      const known = ages.get(server.address) ?? [];
      known.push(Math.max(0, (Date.now() - Date.parse(server.lastAnswer)) / 1000));
      ages.set(server.address, known.slice(-60));
    }
    for (const place of document.querySelectorAll(".registry")) {
      const server = servers.find((one) => one.address === place.dataset.server);
      const known = ages.get(place.dataset.server);
      if (!server || !known) continue;
      const time = place.querySelector("time");
      if (time) time.dateTime = server.lastAnswer;
      place.querySelector("svg")?.remove();
      place.append(line(known));
    }
  };
  const line = (values) => {
    const made = (name, attributes) => {
      const one = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
      return one;
    };
    const most = Math.max(5, ...values);
    const points = values.map((value, index) => index * 2 + "," + (18 - (value / most) * 16).toFixed(1)).join(" ");
    const label = "age of the last answer, at most " + most.toFixed(0) + " s";
    const svg = made("svg", { width: 120, height: 20, viewBox: "0 0 120 20", class: "fresh", role: "img", "aria-label": label });
    svg.append(made("polyline", { points, fill: "none", stroke: "currentColor", "stroke-width": 1.5 }));
    return svg;
  };

  // What the server renders is asked for again, and put in place of what is there.
  let asked = 0;
  let waiting = null;
  const refresh = () => {
    if (waiting) return;
    const pause = entries.size > 1000 ? 5000 : 500;
    waiting = setTimeout(async () => {
      waiting = null;
      asked = Date.now();
      try {
        const answer = await fetch(location.pathname + location.search, { cache: "no-store" });
        if (!answer.ok) return;
        const next = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const id of ["summary", "problems", "entry", "modules", "policies", "history"]) {
          const [old, fresh] = [document.getElementById(id), next.getElementById(id)];
          if (old && fresh) old.replaceWith(document.adoptNode(fresh));
        }
        document.title = next.title;
        tick();
      } catch { /* the stream says that the controller is gone */ }
    }, Math.max(0, asked + pause - Date.now()));
  };
  const load = async () => {
    try {
      const answer = await fetch("status", { cache: "no-store" });
      if (!answer.ok) return;
      const status = await answer.json();
      entries.clear();
      for (const entry of status.entries) entries.set(entry.entry, entry);
      fresh(status.registry);
      pick();
    } catch { /* likewise */ }
  };
  const follow = () => {
    const stream = new EventSource("events");
    let first = true;
    stream.addEventListener("hello", () => {
      document.getElementById("lost")?.remove();
      // What came to pass before the stream began, or while it was away.
      load();
      if (!first) refresh();
      first = false;
    });
    stream.addEventListener("entries", (event) => {
      for (const entry of JSON.parse(event.data)) entries.set(entry.entry, entry);
      soon(pick);
      refresh();
    });
    stream.addEventListener("gone", (event) => {
      for (const name of JSON.parse(event.data)) entries.delete(name);
      soon(pick);
    });
    stream.addEventListener("reload", () => { load(); refresh(); });
    stream.addEventListener("changes", refresh);
    stream.addEventListener("registry", (event) => fresh(JSON.parse(event.data)));
    stream.addEventListener("error", () => {
      if (document.getElementById("lost")) return;
      const note = element("p", "The connection is lost, and tried again: what is shown may be old.", "lost");
      note.id = "lost";
      note.setAttribute("role", "status");
      document.querySelector("main").prepend(note);
    });
  };

  if (pages) pages.remove();
  search.querySelector("button").remove();
  search.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", () => { list.scrollTop = 0; soon(pick); });
  list.classList.add("virtual");
  list.addEventListener("scroll", () => soon(draw), { passive: true });
  heads();
  tick();
  setInterval(tick, 1000);
  follow();
})();
