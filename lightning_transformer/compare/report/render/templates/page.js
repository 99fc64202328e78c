const read = id => JSON.parse(document.getElementById(id).textContent);
const plots = read("plots"), darkColours = read("dark-colours"), views = {};
const dark = matchMedia("(prefers-color-scheme: dark)"), narrow = matchMedia("(max-width: 720px)");

function fitted(name, logarithmic) {
  let text = JSON.stringify(plots[name]);
  if (dark.matches)
    for (const [light, other] of Object.entries(darkColours)) text = text.replaceAll(light, other);
  if (logarithmic) text = text.replaceAll('"type":"linear"', '"type":"log"');
  const spec = JSON.parse(text), width = document.querySelector(`[data-plot=${name}]`).clientWidth;
  if (spec.facet) {
    spec.columns = Math.max(1, Math.min(3, Math.floor(width / 330)));
    spec.spec.width = Math.floor((width - 52) / spec.columns) - (spec.columns > 1 ? 24 : 8);
  } else {
    spec.width = width;
    spec.autosize = {type: "fit-x", contains: "padding"};
  }
  if (narrow.matches) {
    spec.config.axisLeft.labelLimit = 104;
    spec.config.axisRight.labelLimit = name === "forest" ? 62 : 130;
    spec.config.legend.columns = 2;
    spec.config.legend.labelLimit = 110;
  }
  return spec;
}

async function draw(figure) {
  const name = figure.dataset.plot;
  const options = {actions: false, renderer: "svg", tooltip: {theme: dark.matches ? "dark" : "light"}};
  const logarithmic = figure.classList.contains("logarithmic");
  if (views[name]) views[name].finalize();
  if (name === "forest") options.patch = withClicks;
  views[name] = await vegaEmbed(figure.querySelector(".plot"), fitted(name, logarithmic), options);
  if (name === "forest") views[name].view.addEventListener("click", hide);
}

// Vega-Lite binds a click to a legend, but not to the names on an axis.
function withClicks(vega) {
  for (const {orient, encode} of vega.axes)
    if (orient === "left")
      Object.assign(encode.labels, {interactive: true}).update.cursor = {value: "pointer"};
  return vega;
}

function hide(event, item) {
  if (item?.mark.role !== "axis-label") return;
  const {view} = views.forest, hidden = view.signal("hidden"), name = item.datum.value;
  const others = hidden.filter(one => one !== name);
  view.signal("hidden", others.length < hidden.length ? others : [...hidden, name]).run();
}

const figures = [...document.querySelectorAll("[data-plot]")];
const drawAll = () => Promise.all(figures.map(draw)).then(() => { document.body.dataset.drawn = "yes"; });
for (const button of document.querySelectorAll("button.log"))
  button.addEventListener("click", () => {
    const figure = button.closest("[data-plot]");
    button.textContent = figure.classList.toggle("logarithmic") ? "linear" : "logarithmic";
    draw(figure);
  });
dark.addEventListener("change", drawAll);
let waiting, drawnWidth = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === drawnWidth) return;  // a phone's address bar changes the height alone
  drawnWidth = innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(drawAll, 150);
});
drawAll();
