"""Whether everybody can use the pages: names, headings, landmarks, contrast, focus; in light and in dark."""

import pytest

VIEWS = ("/", "/queue", "/history", "/theorem", "/report", "image")

NAMELESS = """() => {
  const named = (e) => e.getAttribute("aria-label") || (e.labels && e.labels.length) || e.textContent.trim()
    || e.querySelector("img[alt]:not([alt=''])")
    || (e.getAttribute("aria-labelledby") && document.getElementById(e.getAttribute("aria-labelledby")));
  const shown = (e) => e.checkVisibility();
  const all = [...document.querySelectorAll("a, button, select, textarea, input:not([type=hidden])")];
  return all.filter((e) => shown(e) && !named(e)).map((e) => e.outerHTML.slice(0, 90));
}"""

STRUCTURE = """() => {
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((h) => Number(h.tagName[1]));
  return {
    lang: document.documentElement.lang,
    ones: levels.filter((level) => level === 1).length,
    jumps: levels.filter((level, i) => i && level > levels[i - 1] + 1).length,
    landmarks: ["header", "nav", "main", "footer"].map((name) => document.querySelectorAll(name).length),
    pictures: [...document.images].filter((i) => !i.hasAttribute("alt")).length,
    drawings: [...document.querySelectorAll("svg")].filter(
      (s) => s.getAttribute("aria-hidden") !== "true"
        && !(s.getAttribute("role") === "img" && s.getAttribute("aria-label"))
    ).length,
    regions: [...document.querySelectorAll("section")].filter((s) => {
      const heading = document.getElementById(s.getAttribute("aria-labelledby"));
      return !heading || !heading.textContent.trim();
    }).length,
    twice: [...document.querySelectorAll("[id]")].map((e) => e.id)
      .filter((id, i, all) => all.indexOf(id) !== i),
    small: [...document.querySelectorAll("main button, main select, main input[type=range]")].filter(
      (e) => e.checkVisibility() && e.getBoundingClientRect().height < 40).length,
  };
}"""

PALE = """() => {
  const numbers = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || !e.checkVisibility() || e.closest(".aside, script, option")) continue;
    const style = getComputedStyle(e);
    const ink = e.closest("svg") && e.tagName === "text" ? style.fill : style.color;
    const [a, b] = [light(numbers(ink)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.5 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push([node.data.trim().slice(0, 40), ratio.toFixed(2)]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_every_view(visit, site, picture, scheme):
    page = visit(site.url, color_scheme=scheme)
    page.set_input_files("#file", picture("disc", 90))
    page.wait_for_url("**/images/*")
    page.wait_for_selector(".verdict")
    page.click(".labels button[value=disc]")
    page.wait_for_selector(".told")
    image = page.url
    page.goto(site.url)
    page.set_input_files("#file", picture("ring", 91))
    page.wait_for_url("**/images/*")
    for view in VIEWS:
        page.goto(image if view == "image" else site.url + view)
        assert page.evaluate(NAMELESS) == [], view
        found = page.evaluate(STRUCTURE)
        assert found["landmarks"] == [1, 1, 1, 1], view
        assert (found["lang"], found["ones"], found["jumps"]) == ("en", 1, 0), view
        assert (found["pictures"], found["drawings"], found["regions"]) == (0, 0, 0), view
        assert found["twice"] == [], view
        assert found["small"] == 0, view
        assert page.evaluate(PALE) == [], (view, scheme)


def test_focus_can_be_seen_wherever_tab_goes(visit, site):
    for view in ("/", "/theorem"):
        page = visit(site.url + view)
        for _ in range(25):
            page.keyboard.press("Tab")
            seen = page.evaluate(
                """() => { const e = document.activeElement;
                  if (e === document.body) return true;
                  const s = getComputedStyle(e);
                  return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1; }"""
            )
            assert seen, page.evaluate("document.activeElement.outerHTML.slice(0, 90)")
