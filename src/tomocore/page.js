"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sortBy(table, heads, at));
    head.append(button);
  });
}
for (const field of document.querySelectorAll(".table > input.find")) {
  const part = field.closest(".table");
  field.addEventListener("input", () => search(part, field.value));
  const asked = new URLSearchParams(location.hash.slice(1)).get("find");
  if (asked) { field.value = asked; search(part, asked); }
}
function search(part, text) {
  const table = part.querySelector("table"), heads = [...table.tHead.rows[0].cells];
  const tests = text.toLowerCase().split(/\s+/).filter(Boolean).map(term => testOf(term, heads));
  let shown = 0, all = 0;
  for (const body of table.tBodies) {
    const title = [...body.rows].find(row => row.classList.contains("group"));
    let inside = 0;
    for (const row of body.rows) {
      if (row === title) continue;
      const fits = tests.every(test => test(row, title ? title.textContent.toLowerCase() : ""));
      row.hidden = !fits;
      all += 1;
      inside += fits;
    }
    if (title) title.hidden = !inside;
    shown += inside;
  }
  part.querySelector(".found").textContent = tests.length ? `${shown} of ${all} rows` : "";
}
function testOf(term, heads) {
  const asked = term.match(/^([^<>=]+)(<=|>=|<|>|=)(-?[\d.]+(?:e-?\d+)?)$/);
  const name = asked && asked[1].replaceAll("_", " ");
  const at = asked ? heads.findIndex(head => head.textContent.toLowerCase().includes(name)) : -1;
  if (at < 0) return (row, title) => (row.textContent + " " + title).toLowerCase().includes(term);
  const limit = Number(asked[3]), percent = heads[at].querySelector(".unit")?.textContent === "(%)";
  const compare = {"<": x => x < limit, ">": x => x > limit, "<=": x => x <= limit, ">=": x => x >= limit, "=": x => x === limit}[asked[2]];
  return row => {
    const order = row.cells[at].dataset.order;
    return order !== undefined && compare(percent ? 100 * Number(order) : Number(order));
  };
}
function sortBy(table, heads, at) {
  const sign = heads[at].getAttribute("aria-sort") === "ascending" ? -1 : 1;
  heads.forEach(head => head.removeAttribute("aria-sort"));
  heads[at].setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  const text = row => row.cells[at].textContent;
  const order = (a, b) => {
    if (!text(a) || !text(b)) return (text(a) ? 0 : 1) - (text(b) ? 0 : 1);
    const [x, y] = [a, b].map(row => row.cells[at].dataset.order);
    const numbers = x !== undefined && y !== undefined;
    return sign * (numbers ? Number(x) - Number(y) : text(a).localeCompare(text(b), undefined, {numeric: true}));
  };
  const first = new Map();
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter(row => !row.classList.contains("group")).sort(order);
    body.append(...rows);
    first.set(body, rows[0]);
  }
  table.append(...[...first.keys()].filter(body => first.get(body)).sort((a, b) => order(first.get(a), first.get(b))));
}
for (const field of document.querySelectorAll(".tiled > input.find")) {
  const tiles = [...field.closest(".tiled").querySelectorAll(".tile")];
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const tile of tiles) {
      const text = [...tile.children].map(part => part.textContent).join(" ").toLowerCase();
      tile.hidden = !words.every(word => text.includes(word));
    }
    const shown = tiles.filter(tile => !tile.hidden).length;
    field.parentElement.querySelector(".found").textContent = words.length ? `${shown} of ${tiles.length}` : "";
  });
}
for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", () => {
    const chosen = document.createRange();
    chosen.selectNodeContents(button.parentElement.querySelector(".paste"));
    getSelection().removeAllRanges();
    getSelection().addRange(chosen);
    document.execCommand("copy"); // the newer clipboard is closed to pages that lie in files
    button.textContent = "copied";
  });
}
