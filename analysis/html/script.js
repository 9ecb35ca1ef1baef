// The page works without this script. With it, columns sort, numbers open their runs, and runs can be saved.
"use strict";
(() => {
  const text = document.getElementById("provenance").textContent;
  let parsed;
  const provenance = () => (parsed ??= JSON.parse(text));

  const make = (name, content = [], attributes = {}) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...[content].flat());
    return element;
  };

  // --- sorting --------------------------------------------------------------------------------

  const UNITS = { K: 1e3, M: 1e6, G: 1e9 };

  const keyOf = (cell) => {
    if (cell.tagName === "TH") return cell.textContent.trim().toLowerCase();
    const text = cell.dataset.value ?? cell.textContent;
    const match = /^\s*(-?\d[\d.]*)([KMG])?/.exec(text);
    return match ? Number(match[1]) * (UNITS[match[2]] ?? 1) : NaN;
  };

  const compare = (a, b) =>
    typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;

  /** A row and the rows of references below it. */
  const blocksOf = (body) => {
    const blocks = [];
    for (const row of body.rows) {
      if (row.classList.contains("reference") && blocks.length) blocks.at(-1).push(row);
      else blocks.push([row]);
    }
    return blocks;
  };

  const sortable = (table) => {
    const body = table.tBodies[0];
    const original = blocksOf(body);
    const total = table.classList.contains("totals") ? original.pop() : [];
    const heads = [...table.tHead.rows].at(-1).cells;
    const sort = (head) => {
      const column = head.cellIndex;
      const first = column === 0 ? "ascending" : "descending";
      const before = head.getAttribute("aria-sort");
      const other = first === "ascending" ? "descending" : "ascending";
      const order = before === null ? first : before === first ? other : null;
      for (const one of heads) one.removeAttribute("aria-sort");
      table.classList.toggle("sorted", order !== null);
      let blocks = original;
      if (order !== null) {
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const keyed = original.map((rows) => [keyOf(rows[0].cells[column]), rows]);
        const known = keyed.filter(([key]) => key === key);
        const rest = keyed.filter(([key]) => key !== key); // without a number: last, either way
        known.sort(([a], [b]) => sign * compare(a, b));
        blocks = [...known, ...rest].map(([, rows]) => rows);
      }
      body.append(...blocks.flat(), ...total);
    };
    for (const head of heads) {
      const button = make("button", [...head.childNodes], { type: "button" });
      button.addEventListener("click", () => sort(head));
      head.append(button);
    }
  };

  // --- the runs of a cell ---------------------------------------------------------------------

  const dialog = document.getElementById("trace");
  const NAMES = {
    git_commit: "Commit", petl: "petl-ast", lock_hash: "Lock", image: "Image", python: "Python",
    torch: "torch", cuda: "CUDA", gpu: "GPU", threads: "Threads", host: "Host",
  };
  const nothing = (value) => value === null || value === undefined;

  const runsOf = (group) => {
    const { columns, runs } = provenance();
    const at = columns.indexOf("group");
    return runs
      .filter((run) => run[at] === group)
      .map((run) => Object.fromEntries(run.map((value, i) => [columns[i], value])));
  };

  const grid = (columns, runs) => {
    const heads = columns.map(([title]) => make("th", title, { scope: "col" }));
    const rows = runs.map((run) => {
      const [id, ...rest] = columns.map(([, value]) => value(run));
      const cells = rest.map((value) => make("td", nothing(value) ? "" : String(value)));
      return make("tr", [make("th", make("code", id), { scope: "row" }), ...cells]);
    });
    const table = make("table", [make("thead", make("tr", heads)), make("tbody", rows)]);
    table.className = "trace";
    return make("div", table, { class: "scroll", tabindex: "0" });
  };

  const alone = (group, run) => {
    const { file } = provenance();
    const who = `--dataset ${group.dataset} --backbone ${group.backbone} --method ${group.method}`;
    return `petl train ${file} ${who} --fold ${run.fold} --seed ${run.seed}`;
  };

  const valueIn = (measure) => (run) => {
    const value = run[measure.column];
    return nothing(value) ? "NaN" : (measure.percent ? 100 * value : value).toFixed(measure.digits + 1);
  };

  const IDENTITY = [["Run", (run) => run.run_id], ["Fold", (run) => run.fold], ["Seed", (run) => run.seed]];

  /** The runs, and below them what they have in common. */
  const finished = (runs, measure) => {
    const of = (run) => provenance().environments[run.environment];
    const facts = Object.keys(of(runs[0]));
    const differ = facts.filter((fact) => runs.some((run) => of(run)[fact] !== of(runs[0])[fact]));
    const columns = [
      ...IDENTITY,
      [measure.column.split(".").at(-1), valueIn(measure)],
      ["Seconds", (run) => (nothing(run.seconds) ? "" : Math.round(run.seconds))],
      ...differ.map((fact) => [NAMES[fact] ?? fact, (run) => of(run)[fact]]),
    ];
    if (runs.some((run) => !nothing(run.slurm_job_id))) columns.push(["Slurm job", (run) => run.slurm_job_id]);
    const common = facts.filter((fact) => !differ.includes(fact)).flatMap((fact) => [
      make("dt", NAMES[fact] ?? fact),
      make("dd", nothing(of(runs[0])[fact]) ? "not recorded" : String(of(runs[0])[fact])),
    ]);
    const title = runs.length > 1 ? "The same in all finished runs" : "Environment";
    return [grid(columns, runs), make("h3", title), make("dl", common, { class: "facts" })];
  };

  const missing = (runs, group) => [
    make("h3", "Missing"),
    grid([
      ...IDENTITY,
      ["State", (run) => `${run.state} ${run.reason ?? ""}`],
      ["Command", (run) => alone(group, run)],
    ], runs),
  ];

  const warnings = (group, runs) => {
    const parts = [];
    if (runs.some((run) => run.synthetic)) {
      parts.push(make("p", "SYNTHETIC: made-up numbers, nothing was trained", { class: "synthetic" }));
    }
    if (group.mixed.length) {
      const what = group.mixed.map((name) => NAMES[name] ?? name).join(", ");
      const line = `These runs differ in ${what}, so their mean mixes different experiments.`;
      parts.push(make("ul", make("li", line), { class: "warnings" }));
    }
    return parts;
  };

  const show = (number, measure, shown) => {
    const group = provenance().groups[number];
    const runs = runsOf(number);
    const done = runs.filter((run) => run.state === "done");
    const rest = runs.filter((run) => run.state !== "done");
    const close = make("button", "Close", { type: "button", class: "close" });
    close.addEventListener("click", () => dialog.close());
    const title = make("h2", `${group.row} · ${group.column}`, { id: "trace-title" });
    const unit = `${measure.column}${measure.percent ? ", per cent" : ""}`;
    const counted = make("small", `${unit}; ${done.length} of ${runs.length} runs`);
    dialog.replaceChildren(
      make("header", [title, close]),
      make("p", [shown, counted], { class: "value" }),
      ...warnings(group, done),
      ...(done.length ? finished(done, measure) : []),
      ...(rest.length ? missing(rest, group) : []),
    );
    dialog.showModal();
    dialog.scrollTop = 0;
  };

  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });

  const traceable = (table, measure) => {
    [...table.querySelectorAll("tr.method")].forEach((row, i) => {
      const cells = row.querySelectorAll("td[data-row]");
      cells.forEach((cell, j) => {
        const shown = [...cell.childNodes].map((node) => node.textContent.trim()).join(" ");
        const button = make("button", [...cell.childNodes], { type: "button" });
        button.addEventListener("click", () => {
          show(i * cells.length + j, provenance().measures[measure], shown);
        });
        cell.append(button);
      });
    });
  };

  document.querySelectorAll("table.petl").forEach(traceable);
  document.querySelectorAll("table.petl, table.sortable").forEach(sortable);

  // --- keeping and printing -------------------------------------------------------------------

  const download = document.getElementById("download");
  download.addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    make("a", [], { href: url, download: download.dataset.name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open]):not(.wide)")];
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => closed.forEach((one) => (one.open = false)));
  document.documentElement.classList.add("js");
})();
