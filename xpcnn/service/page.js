"use strict";
const part = (id) => document.getElementById(id);
const made = (tag, text, kind) => {
  const element = document.createElement(tag);
  element.textContent = text ?? "";
  if (kind) element.className = kind;
  return element;
};
let asked = 0;

function row(word, share, text) {
  const line = document.createElement("tr");
  const name = made("th", word);
  name.scope = "row";
  const bar = made("td", "", "bar");
  if (share !== null) {
    const meter = document.createElement("meter");
    meter.value = share;
    meter.setAttribute("aria-hidden", "true");
    bar.append(meter);
  }
  line.append(name, bar, made("td", text));
  return line;
}

function table(answer) {
  const shown = document.createElement("table");
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  for (const each of answer.predictions ?? []) shown.append(row(each.class, each.probability, percent(each.probability)));
  for (const each of answer.shares ?? []) shown.append(row(each.class, each.share, percent(each.share)));
  (answer.values ?? []).flat(9).slice(0, 100).forEach((value, i) => shown.append(row(String(i), null, value.toPrecision(6))));
  return shown;
}

async function ask(file) {
  const number = ++asked;
  const answer = part("answer");
  URL.revokeObjectURL(part("picture").src);
  part("picture").src = URL.createObjectURL(file);
  part("name").textContent = file.name ?? "";
  part("shown").hidden = false;
  answer.setAttribute("aria-busy", "true");
  let found;
  try {
    const response = await fetch("predict?top_k=10", {
      method: "POST", body: file, headers: { "Content-Type": file.type || "application/octet-stream" },
    });
    const told = await response.json();
    found = response.ok ? table(told.answers[0]) : made("p", told.error, "error");
  } catch (error) {
    found = made("p", `The service does not answer: ${error.message}`, "error");
  }
  if (number !== asked) return; // another picture was asked about since
  answer.replaceChildren(found);
  answer.setAttribute("aria-busy", "false");
}

part("file").addEventListener("change", (event) => {
  if (event.target.files.length) ask(event.target.files[0]);
  event.target.value = "";
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    part("zone").classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    part("zone").classList.remove("over");
  });
}
document.addEventListener("drop", (event) => event.dataTransfer.files.length && ask(event.dataTransfer.files[0]));
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
  if (file) ask(file);
});
document.documentElement.className = "ready";
