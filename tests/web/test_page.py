"""The page of an export, clicked through in a browser without a window."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hornbook.api import Run, train
from hornbook.export.browser import find_browser
from hornbook.export.targets import export
from tests.conftest import TINY_GPT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HAS_PLAYWRIGHT = importlib.util.find_spec("playwright") is not None
pytestmark = [
    pytest.mark.skipif(not HAS_PLAYWRIGHT, reason="needs playwright (pip install playwright)"),
    pytest.mark.skipif(find_browser() is None, reason="needs a browser (apt install chromium)"),
]

READY = "new Promise(r => { const f = () => globalThis.hornbook ? r() : setTimeout(f, 10); f(); })"
HOSTILE = "<img src=x onerror=alert(1)>&lt;script&gt;"
HEBREW = ("שלום", "אבא", "אמא", "ילד", "ילדה", "בית", "ספר", "עולם")


@pytest.fixture(scope="session")
def files(
    names_run: Run, stream_run: Run, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Pages by name: documents, a stream, names that look like markup, letters from right to left."""
    folder = tmp_path_factory.mktemp("pages")
    runs = {"documents": names_run, "stream": stream_run}
    texts = {
        "hostile": [f"</script><script>alert({i})</script> \"'&" for i in range(20)],
        "hebrew": [f"{a} {b}" for a in HEBREW for b in HEBREW],
    }
    for name, lines in texts.items():
        text = folder / f"{HOSTILE if name == 'hostile' else name}.txt"
        text.write_text("\n".join(lines), "utf-8")
        settings = {**TINY_GPT, "training": {**TINY_GPT["training"], "steps": 4}}
        out = folder / (HOSTILE if name == "hostile" else f"{name}-run")
        runs[name] = train(str(text), out=out, precision="fp32", settings=settings)
    return {
        name: export(run, "html", folder / f"{name}.html", dtype="f32", verify=False).path
        for name, run in runs.items()
    }


class Opened:
    """A page in the browser, with everything that it reports."""

    def __init__(self, browser: Browser, path: Path, width: int = 1280, **options: Any) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        self.reported: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.reported.append(message.text))
        self.page.on("pageerror", lambda error: self.reported.append(str(error)))
        self.page.on("dialog", lambda dialog: self.reported.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.evaluate(READY)

    @property
    def text(self) -> str:
        return self.page.locator("#text").text_content() or ""

    @property
    def typed(self) -> str:
        return self.page.locator("#beginning").input_value()

    def set(self, name: str, value: object) -> None:
        if not self.page.locator("#setting-seed").is_visible():
            self.page.locator("summary", has_text="Settings").click()
        self.page.locator(f"#setting-{name}").fill(str(value))

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()
        self.wait()

    def wait(self) -> None:
        self.page.locator("section[aria-label=Write]:not([aria-busy])").wait_for()

    def type(self, text: str) -> None:
        self.page.locator("#beginning").fill(text)
        self.wait()


@pytest.fixture
def open_page(browser: Browser, files: dict[str, Path]) -> Iterator[Any]:
    opened: list[Opened] = []

    def _open(name: str, **options: Any) -> Opened:
        opened.append(Opened(browser, files[name], **options))
        return opened[-1]

    yield _open
    for one in opened:
        one.page.close()
        assert one.reported == []
        assert [url for url in one.requests if not url.startswith(("file:", "data:"))] == []


def test_it_opens_with_the_samples_of_hornbook(
    open_page: Any, names_run: Run, stream_run: Run
) -> None:
    documents = open_page("documents")
    assert documents.text == names_run.sample(6, seed=0)[0].text
    shown = documents.page.locator("output").all_text_contents()
    assert shown == [sample.text for sample in names_run.sample(6, seed=0)]
    assert open_page("stream").text == stream_run.sample(1, seed=0, max_tokens=200)[0].text


def test_a_text_is_typed_continued_and_undone(open_page: Any) -> None:
    page = open_page("stream")
    page.set("maxTokens", 12)
    page.set("seed", 5)
    page.type("green bottles, \u00e9")
    assert page.text == "green bottles, "
    assert "\u00e9" in page.page.locator("#unknown").text_content()
    page.press("Continue")
    once = page.text
    assert once.startswith("green bottles, ")
    assert len(once) == len("green bottles, ") + 12
    page.press("Continue")
    assert page.text.startswith(once)
    assert page.typed == once
    page.press("Undo")
    assert page.text == once
    page.set("seed", 6)
    page.press("Regenerate")
    assert page.text != once
    assert page.text.startswith("green bottles, ")
    page.press("Clear")
    assert page.text == page.typed == ""


def test_writing_stops_when_it_is_told_to(open_page: Any) -> None:
    page = open_page("stream")
    page.set("maxTokens", 100000)
    page.page.get_by_role("button", name="Continue").click()
    page.page.get_by_role("button", name="Stop").click()
    page.wait()
    n = len(page.text)
    page.page.evaluate("new Promise(r => setTimeout(r, 100))")
    assert 200 <= n == len(page.text) < 100000


def test_several_continuations_stand_side_by_side(open_page: Any) -> None:
    page = open_page("stream")
    page.set("n", 3)
    page.set("maxTokens", 15)
    page.type("hanging")
    page.press("Continue")
    outputs = page.page.locator("output").all_text_contents()
    assert len(outputs) == 3
    assert len(set(outputs)) > 1
    assert page.page.locator("#before").text_content() == "hanging"
    assert page.page.get_by_role("button", name="Continue", exact=True).is_disabled()
    page.page.get_by_role("button", name="Go on with continuation 2").click()
    page.wait()
    assert page.typed == f"hanging{outputs[1]}"


def test_an_alternative_is_gone_on_from_by_pointer(open_page: Any) -> None:
    page = open_page("stream")
    page.set("maxTokens", 10)
    before = page.text
    page.page.locator("#text .token").nth(4).hover()
    popup = page.page.locator(".popup")
    assert popup.get_by_role("button").count() == 5
    assert "bits" in popup.text_content()
    choice = popup.get_by_role("button").nth(3)
    letter = choice.locator("bdi").text_content().strip(" \u2713")
    choice.click()
    page.wait()
    letter = {"\u2423": " ", "\u23ce": "\n"}.get(letter, letter)
    assert page.typed == before[:4] + letter
    assert len(page.text) == 5 + 10


def test_a_finger_opens_and_closes_the_list(open_page: Any) -> None:
    page = open_page("stream", width=400, has_touch=True)
    popup = page.page.locator(".popup")
    page.page.locator("#text .token").nth(4).tap()
    page.page.evaluate("new Promise((resolve) => setTimeout(resolve, 500))")
    assert popup.is_visible()
    page.page.locator("h1").tap()
    assert popup.is_hidden()


def test_the_keyboard_alone_reaches_everything(open_page: Any) -> None:
    page = open_page("documents")
    keyboard = page.page.keyboard
    focused = "document.activeElement.id || document.activeElement.textContent"
    seen = []
    for _ in range(8):
        keyboard.press("Tab")
        seen.append(page.page.evaluate(focused))
    assert seen[0] == "beginning"
    assert "Settings" in seen
    page.page.locator("#text").focus()
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    assert page.page.locator(".token.current").text_content() == page.text[1]
    assert "bits" in page.page.locator(".hidden[role=status]").text_content()
    keyboard.press("Enter")
    assert "go on from there" in page.page.evaluate("document.activeElement.ariaLabel")
    keyboard.press("ArrowDown")
    keyboard.press("Escape")
    assert page.page.evaluate("document.activeElement.id") == "text"
    assert page.page.locator(".popup").is_hidden()
    keyboard.press("Enter")
    keyboard.press("Enter")
    page.wait()
    assert len(page.typed) == 2


def test_the_inside_is_shown(open_page: Any) -> None:
    page = open_page("documents")
    for name in ("Attention", "Likely continuations", "Embeddings"):
        page.page.locator("summary", has_text=name).click()
    page.page.locator(".tree li").first.wait_for()
    assert page.page.locator(".maps button").count() == 2
    page.page.locator(".maps button").nth(1).click()
    assert page.page.locator("h3", has_text="Layer 1, head 2").is_visible()
    letters = page.page.locator("svg[aria-label^='Map of the tokens'] text").all_text_contents()
    assert {"a", "e", "end"} <= set(letters)
    assert page.page.locator(".tree b").count() > 5
    about = page.page.locator("section", has_text="About this model").text_content()
    assert "nats per token" in about
    assert "SHA-256" in about


def test_nothing_of_a_run_is_markup(open_page: Any) -> None:
    page = open_page("hostile")
    assert page.page.locator("h1").text_content() == HOSTILE
    assert page.page.title() == HOSTILE
    assert page.page.locator("img").count() == 0
    assert page.page.locator("script").count() == 3  # data, weights, and the page's own
    page.type("</script><script>alert(1)")
    page.press("Continue")
    assert page.text.startswith("</script><script>alert(1)")
    for summary in page.page.locator("main > details > summary").all():
        summary.click()
    page.page.locator(".tree li").first.wait_for()
    assert page.page.locator("script").count() == 3


def test_no_script_or_request_beside_its_own_is_allowed(open_page: Any) -> None:
    page = open_page("documents")
    blocked = page.page.evaluate("""async () => {
      const found = [];
      const note = (event) => found.push(event.effectiveDirective);
      document.addEventListener("securitypolicyviolation", note);
      const script = document.createElement("script");
      script.textContent = "globalThis.injected = true";
      document.body.append(script);
      await fetch("https://example.org/").catch(() => found.push("fetch"));
      await new Promise((resolve) => setTimeout(resolve, 50));
      return [globalThis.injected === undefined, ...found];
    }""")
    page.reported.clear()
    page.requests.clear()
    assert blocked[0] is True
    assert {"fetch", "connect-src", "script-src-elem"} <= set(blocked)


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["documents", "stream", "hebrew"])
def test_it_fits_every_width_and_axe_finds_nothing_serious(
    open_page: Any, name: str, width: int, scheme: str
) -> None:
    page = open_page(name, width=width, color_scheme=scheme)
    for summary in page.page.locator("summary").all():
        summary.click()
    page.page.locator(".tree li").first.wait_for()
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs axe-playwright-python"
    )
    found = axe.Axe().run(page.page).response["violations"]
    page.reported.clear()
    serious = [
        (v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_right_to_left_text_runs_from_right_to_left(open_page: Any) -> None:
    page = open_page("hebrew")
    page.type("\u05e9\u05dc\u05d5\u05dd")
    assert (
        page.page.evaluate("getComputedStyle(document.getElementById('text')).direction") == "rtl"
    )
    page.page.locator("#text").focus()
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowLeft")  # further on in the text
    assert page.page.locator(".token.current").text_content() == "\u05dc"
