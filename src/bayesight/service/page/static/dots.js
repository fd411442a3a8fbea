// The dots of a figure of a thousand: found, missed, false alarms, cleared, one path each.

const PITCH = 10.5;
const COLUMNS = 40;
const RING = 3;

export function moveDots(svg, counts, label) {
  const paths = svg.querySelectorAll("path");
  let start = 0;
  counts.forEach((count, cell) => {
    const ring = cell === 1;
    const arc = `a${RING} ${RING} 0 1 0 ${2 * RING} 0a${RING} ${RING} 0 1 0 ${-2 * RING} 0`;
    let d = "";
    for (let i = start; i < start + count; i += 1) {
      const x = PITCH * ((i % COLUMNS) + 0.5) - (ring ? RING : 0);
      const y = PITCH * (Math.floor(i / COLUMNS) + 0.5);
      d += `M${x.toFixed(1)} ${y.toFixed(1)}${ring ? arc : "h0"}`;
    }
    paths[cell].setAttribute("d", d);
    start += count;
  });
  svg.setAttribute("aria-label", label);
}
