"use strict";
// Shows the stops of a walk: the formula of one number, and the tables around it. Every number leads to where it was made.
(() => {
  const { stops, worked, origin, indices, place } = walk;
  const ROWS = 12, COLUMNS = 14, IMAGE = 9, PAGES = 3, LEVELS = 9;
  const state = stops.map((stop) => stop.f);
  const escape = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

  const OPERATORS = ["·", "+", "−", "/"];
  // The pieces with the name or the number of each reference, a negative number in brackets after an operator.
  function formula(pieces, write) {
    let before = "";
    return pieces.map((piece) => {
      if (typeof piece === "string") {
        before = piece.trimEnd().slice(-1);
        return escape(piece);
      }
      const said = write(piece);
      const shown = said[0] === "−" && OPERATORS.includes(before) ? `(${said})` : said;
      before = "";
      const made = origin(piece.member, piece.at);
      return made ? `<a href="#s${made[0]}.${made[1]}">${escape(shown)}</a>` : `<span>${escape(shown)}</span>`;
    }).join("");
  }

  // At most `most` neighbouring indices, with the box in the middle (`around` of xpcnn.explain.formatting).
  function around([low, high], size, most) {
    const count = Math.min(size, most);
    let start = high - low >= count ? low : low - Math.floor((count - (high - low + 1)) / 2);
    start = Math.max(0, Math.min(start, size - count));
    return Array.from({ length: count }, (_, k) => start + k);
  }

  function boxOf(member, places) {
    const box = member.shape.map(() => null);
    for (const flat of places) {
      indices(member.shape, flat).forEach((k, axis) => {
        box[axis] = box[axis] ? [Math.min(box[axis][0], k), Math.max(box[axis][1], k)] : [k, k];
      });
    }
    return box.map((each) => each ?? [0, 0]);
  }

  function cell(member, at, marks) {
    const flat = place(member.shape, at);
    const value = member.value(flat);
    const size = member.array().largest;
    const level = value && size && Number.isFinite(value) ? Math.max(1, Math.round((LEVELS * Math.abs(value)) / size)) : 0;
    const kind = [level ? `${value > 0 ? "p" : "n"}${Math.min(level, LEVELS)}` : "z", marks.get(flat) ?? ""].join(" ");
    return `<td class="${kind.trim()}" data-i="${flat}">${member.text(flat)}</td>`;
  }

  // The tables of an array around the numbers that are marked (`tables` of xpcnn.explain.formatting).
  function tables(member, marks) {
    const { shape, axes } = member;
    const box = boxOf(member, marks.keys());
    const rank = shape.length;
    const across = rank === 4 ? 2 : rank - 1;
    const down = across - 1;
    const page = rank === 4 ? (box[0][1] - box[0][0] > box[3][1] - box[3][0] ? 0 : 3) : null;
    const shown = (axis, most) => (axis === null || axis < 0 ? [] : around(box[axis], shape[axis], most));
    const [rows, columns] = rank === 4 ? [shown(down, IMAGE), shown(across, IMAGE)] : [shown(down, ROWS), shown(across, COLUMNS)];
    const pages = shown(page, PAGES);
    const whole = new Set();
    const made = (pages.length ? pages : [null]).map((number) => {
      const at = box.map(([low]) => low);
      if (number !== null) at[page] = number;
      const said = axes.map((letter, axis) => [letter, axis])
        .filter(([, axis]) => axis !== down && axis !== across && shape[axis] > 1)
        .map(([letter, axis]) => `${letter} = ${at[axis]}`).join(", ");
      const corner = escape(rows.length ? `${axes[down]} \\ ${axes[across]}` : axes[across] ?? "");
      const head = columns.length ? `<thead><tr><th>${corner}</th>${columns.map((k) => `<th scope="col">${k}</th>`).join("")}</tr></thead>` : "";
      const body = (rows.length ? rows : [null]).map((row) => {
        const cells = (columns.length ? columns : [null]).map((column) => {
          const here = [...at];
          if (row !== null) here[down] = row;
          if (column !== null) here[across] = column;
          whole.add(place(shape, here));
          return cell(member, here, marks);
        });
        return `<tr><th scope="row">${row ?? ""}</th>${cells.join("")}</tr>`;
      });
      return `<table>${said ? `<caption>${escape(said)}</caption>` : ""}${head}<tbody>${body.join("")}</tbody></table>`;
    });
    const size = shape.reduce((product, each) => product * each, 1);
    const { summary } = member.array();
    return [made.join(""), whole.size < size ? `<br><small>${escape(summary)}; shown: ${whole.size}</small>` : ""];
  }

  function figure(member, number, marks, result) {
    const shape = member.axes.map((letter, axis) => `${escape(letter)}&nbsp;${member.shape[axis]}`).join(" × ");
    const [body, rest] = tables(member, marks);
    return `<figure${result ? ' class="result"' : ""} data-m="${number}"><figcaption><b>${escape(member.name)}</b> ` +
      `${escape(member.meaning)} <small>${shape}</small>${rest}</figcaption><div class="tables">${body}</div></figure>`;
  }

  // Show one number of a stop: its formula, and where its parts stand.
  function show(number, flat) {
    const stop = stops[number];
    const section = document.getElementById(`s${number}`);
    state[number] = flat;
    const done = worked(stop, flat);
    const refs = (done?.pieces ?? []).filter((piece) => typeof piece !== "string");
    const box = section.querySelector(".formula");
    const value = stop.made.text(flat);
    box.innerHTML = `<p class="value"><b>${escape(stop.made.label(flat))}</b> = <b>${value}</b></p>`;
    if (done) {
      const names = formula(done.pieces, ({ member, at }) => member.label(at));
      const numbers = formula(done.pieces, ({ member, at }) => member.text(at));
      box.innerHTML += `<p class="symbols">= ${names}</p><p class="numbers">= ${numbers}</p>`;
    }
    const named = new Set([...stop.r, ...refs.map(({ member }) => stop.group.indexOf(member))]);
    named.delete(stop.m);
    const figures = [...named, stop.m].map((each) => {
      const member = stop.group[each];
      const marks = new Map(refs.filter((ref) => ref.member === member).map(({ at }) => [at, "term"]));
      if (each === stop.m) marks.set(flat, "target");
      return figure(member, each, marks, each === stop.m);
    });
    section.querySelector(".arrays").innerHTML = figures.join("");
    for (const table of section.querySelectorAll("table")) {
      (table.querySelector("td.target") ?? table.querySelector("td.term") ?? table.querySelector("td")).tabIndex = 0;
    }
  }

  // Show a stop as it was shown last.
  function fill(section) {
    if (!section.querySelector(".arrays").firstChild) show(Number(section.id.slice(1)), state[section.id.slice(1)]);
  }

  let current = 0;
  function here(number) {
    current = number;
    const link = document.getElementById("here");
    const title = document.getElementById(`t${number}`);
    link.textContent = `${number + 1} of ${stops.length}: ${title.textContent.trim().replace(/^\d+\s*/, "")}`;
    link.href = `#s${number}`;
    document.getElementById("back").disabled = number === 0;
    document.getElementById("next").disabled = number === stops.length - 1;
  }

  // #s12.345 is number 345 of stop 12.
  function follow() {
    const found = /^#s(\d+)(?:\.(\d+))?$/.exec(location.hash);
    if (!found || !stops[found[1]]) return;
    const number = Number(found[1]);
    const section = document.getElementById(`s${number}`);
    if (found[2] !== undefined) show(number, Number(found[2]));
    else fill(section);
    section.scrollIntoView();
    section.querySelector(".result td.target")?.focus({ preventScroll: true });
    here(number);
  }

  function go(step) {
    const number = Math.max(0, Math.min(stops.length - 1, current + step));
    location.hash = `#s${number}`;
  }

  // A number of the stop's own array is worked out here; any other one, where it was made.
  function choose(td) {
    const number = Number(td.closest("section").id.slice(1));
    const each = Number(td.closest("figure").dataset.m);
    const flat = Number(td.dataset.i);
    const target = each === stops[number].m ? [number, flat] : origin(stops[number].group[each], flat);
    if (target) location.hash = `#s${target[0]}.${target[1]}`;
  }

  // In a notebook's frame, the address of "#s3" would be the notebook's.
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    location.hash = link.getAttribute("href");
  });
  document.querySelector("main").addEventListener("click", (event) => {
    const td = event.target.closest("td[data-i]");
    if (td) choose(td);
  });
  document.addEventListener("keydown", (event) => {
    const td = event.target.closest?.("td[data-i]");
    const move = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input")) return;
    if (td && move) {
      const next = td.closest("table").rows[td.parentNode.rowIndex + move[0]]?.cells[td.cellIndex + move[1]];
      if (next?.tagName !== "TD") return;
      event.preventDefault();
      td.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    } else if (td && event.key === "Enter") choose(td);
    else if (event.key === "n") go(1);
    else if (event.key === "p") go(-1);
  });
  document.getElementById("back").addEventListener("click", () => go(-1));
  document.getElementById("next").addEventListener("click", () => go(1));
  for (const slider of document.querySelectorAll(".epochs input")) {
    const choice = () => {
      const frames = slider.closest(".epochs").querySelectorAll(".epoch");
      frames.forEach((frame, k) => { frame.hidden = k !== Number(slider.value); });
    };
    slider.addEventListener("input", choice);
    choice();
  }
  // Stops are filled when they come near, and all of them for paper.
  const sections = [...document.querySelectorAll("section[id^=s]")];
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) fill(entry.target);
  }, { rootMargin: "2000px" });
  addEventListener("beforeprint", () => sections.forEach(fill));
  sections.slice(0, 3).forEach(fill);
  here(0);
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) here(Number(entry.target.id.slice(1)));
  }, { rootMargin: "-20% 0px -75% 0px" });
  for (const section of sections) [seen, near].forEach((observer) => observer.observe(section));
  addEventListener("hashchange", follow);
  follow();
  document.documentElement.classList.add("ready");
})();
