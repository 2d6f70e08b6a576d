"""The page of the server, clicked through in a browser without a window."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hornbook.api import Run, train
from hornbook.runs.lock import Lock
from tests.conftest import TINY_GPT
from tests.serve.conftest import LIMITS, Live

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
pytest.importorskip("playwright", reason="needs playwright (pip install playwright)")

from playwright.sync_api import expect

HEBREW = ("שלום", "אבא", "אמא", "ילד", "ילדה", "בית", "ספר", "עולם")
READY = "new Promise(r => { const f = () => globalThis.hornbook ? r() : setTimeout(f, 10); f(); })"
WIDTHS = (400, 1600)
RUNS = {"bigram", "hebrew", "names", "stream", "subwords", "trained"}


@pytest.fixture(scope="session")
def folder(names_run: Run, stream_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of runs: `trained` is a run that stopped, and that tests put in training."""
    folder = tmp_path_factory.mktemp("served") / "runs"
    shutil.copytree(names_run.path, folder / "names")
    shutil.copytree(stream_run.path, folder / "stream")
    shutil.copytree(names_run.path, folder / "trained")
    (folder / "trained" / "report.json").unlink()
    quick = {"training": {**TINY_GPT["training"], "steps": 20}}
    train("names", out=folder / "bigram", model="bigram", precision="fp32", settings=quick)
    text = folder.parent / "hebrew.txt"
    text.write_text("\n".join(f"{a} {b}" for a in HEBREW for b in HEBREW), "utf-8")
    settings = {**TINY_GPT, "training": {**TINY_GPT["training"], "steps": 4}}
    train(str(text), out=folder / "hebrew", precision="fp32", settings=settings)
    settings = {**settings, "tokenizer": {"kind": "bpe"}}
    story = Path(__file__).parent.parent / "corpora/story.txt"
    train(str(story), out=folder / "subwords", precision="fp32", settings=settings)
    return folder


@pytest.fixture(scope="session")
def served(folder: Path) -> Iterator[Live]:
    server = Live([SimpleNamespace(path=folder)], LIMITS)  # type: ignore[list-item]
    yield server
    server.stop()


class Opened:
    """A page in the browser, with everything that it reports."""

    def __init__(self, browser: Browser, url: str, width: int = 1280, **options: Any) -> None:
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        self.reported: list[str] = []
        self.requests: list[str] = []
        self.expected: list[str] = []
        self.page.on("console", lambda message: self.reported.append(message.text))
        self.page.on("pageerror", lambda error: self.reported.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)

    @property
    def text(self) -> str:
        return self.page.locator("#text").text_content() or ""

    def wait(self) -> None:
        self.page.locator("section[aria-label=Write]:not([aria-busy])").wait_for()

    def choose(self, model: str) -> None:
        self.page.locator("#model").select_option(model)
        self.page.locator("h1", has_text=model).wait_for()
        self.wait()

    def set(self, name: str, value: object) -> None:
        if not self.page.locator("#setting-seed").is_visible():
            self.page.locator("summary", has_text="Settings").click()
        self.page.locator(f"#setting-{name}").fill(str(value))

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()
        self.wait()

    def type(self, text: str) -> None:
        self.page.locator("#beginning").fill(text)
        self.wait()

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()

    def draw(self, *names: str) -> None:
        """Draws these runs and no others."""
        for name in RUNS:
            box = self.page.get_by_role("checkbox", name=f"Draw {name}", exact=True)
            box.set_checked(name in names)
        for name in RUNS:
            count = int(name in names)
            expect(self.page.locator(".legend li").filter(has_text=name)).to_have_count(count)


@pytest.fixture
def open_page(browser: Browser, served: Live) -> Iterator[Any]:
    opened: list[Opened] = []

    def _open(path: str = "/", url: str = served.url, **options: Any) -> Opened:
        opened.append(Opened(browser, url + path, **options))
        opened[-1].page.evaluate(READY)
        opened[-1].wait() if not path.startswith("/#") else None
        return opened[-1]

    yield _open
    for one in opened:
        one.page.close()
        assert [line for line in one.reported if line not in one.expected] == []
        assert [url for url in one.requests if not url.startswith(served.url)] == []


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_it_writes_what_hornbook_samples(open_page: Any, width: int, names_run: Run) -> None:
    page = open_page(width=width)
    page.choose("names")
    own = [sample.text for sample in names_run.sample(6, seed=0)]
    assert page.page.locator("output").all_text_contents() == own
    assert "per second" in page.page.locator("#progress").text_content()
    page.set("n", 2)
    page.set("seed", 7)
    page.type("em\u00e9")
    assert "\u00e9" in page.page.locator("#unknown").text_content()
    page.press("Continue")
    sampled = [sample.text for sample in names_run.sample(2, prompt="em", seed=7)]
    outputs = page.page.locator("output").all_text_contents()
    assert ["em" + text for text in outputs] == sampled


def test_a_typed_text_may_end_inside_a_token(open_page: Any, folder: Path) -> None:
    page = open_page()
    page.choose("subwords")
    run = Run.load(folder / "subwords")
    page.set("n", 1)
    page.set("seed", 7)
    page.set("maxTokens", 20)
    page.type("The mo")
    page.press("Continue")
    (sampled,) = run.sample(1, prompt="The mo", seed=7, max_tokens=20)
    assert page.page.locator("#text").text_content() == sampled.text


STOP_SOON = """() => new Promise((done, failed) => {
    const stop = [...document.querySelectorAll("button")].find((b) => b.textContent === "Stop");
    const look = () => {
        if (document.querySelectorAll("#text .token").length <= 30 || stop.disabled) return;
        seen.disconnect();
        stop.click();
        done();
    };
    const seen = new MutationObserver(look);  // called before the next token is read
    seen.observe(document.body, { childList: true, subtree: true, attributes: true });
    look();
    setTimeout(() => failed(new Error("nothing was there to be stopped")), 30000);
})"""


def test_a_stream_is_continued_undone_and_stopped(
    open_page: Any, width: int, stream_run: Run, served: Live
) -> None:
    page = open_page(width=width)
    page.choose("stream")
    assert page.text == stream_run.sample(1, seed=0, max_tokens=200)[0].text
    page.set("maxTokens", 12)
    page.type("green bottles, ")
    page.press("Continue")
    once = page.text
    assert len(once) == len("green bottles, ") + 12
    page.press("Continue")
    assert page.text.startswith(once)
    page.press("Undo")
    assert page.text == once
    page.press("Regenerate")
    assert page.text.startswith("green bottles, ")
    page.set("maxTokens", 2000)
    page.page.evaluate(
        f"""() => {{
            const stopped = ({STOP_SOON})();
            [...document.querySelectorAll("button")]
                .find((b) => b.textContent === "Continue").click();
            return stopped;
        }}"""
    )
    page.wait()
    assert len(page.text) < 2000
    assert served.quiet()
    page.set("maxTokens", 5000)  # more than the server allows
    page.expected.append(
        "Failed to load resource: the server responded with a status of 400 (Bad Request)"
    )
    page.press("Continue")
    assert "expected at most 2,000" in page.page.locator("#progress").text_content()


def test_an_alternative_is_chosen_by_pointer_and_keyboard(open_page: Any, width: int) -> None:
    page = open_page(width=width)
    page.choose("stream")
    page.set("maxTokens", 10)
    before = page.text
    page.page.locator("#text .token").nth(4).hover()
    popup = page.page.locator(".popup")
    assert popup.get_by_role("button").count() == 5
    assert "bits" in popup.text_content()
    popup.get_by_role("button").nth(3).click()
    page.wait()
    typed = page.page.locator("#beginning").input_value()
    assert typed[:4] == before[:4]
    assert (len(typed), len(page.text)) == (5, 15)
    page.page.locator("#text").focus()
    for key in ("Home", "ArrowRight", "Enter", "Enter"):
        page.page.keyboard.press(key)
    page.wait()
    assert len(page.page.locator("#beginning").input_value()) == 2


def test_surprisal_is_what_score_computes(open_page: Any, names_run: Run) -> None:
    page = open_page()
    page.choose("names")
    found = page.page.evaluate("""async () => {
      const { ids } = await hornbook.backend.encode("emma");
      return (await hornbook.backend.score(ids)).map((token) => [token.text, token.bits]);
    }""")
    (scored,) = names_run.score("emma")
    assert [text for text, _ in found] == list("emma")
    nats = [bits * 0.6931471805599453 for _, bits in found]
    assert nats == pytest.approx(scored.token_nats[:4], abs=1e-5)


def test_the_inside_of_the_text_at_hand_is_shown(open_page: Any, width: int) -> None:
    page = open_page(width=width)
    page.choose("names")
    page.type("emma")
    page.tab("Look")
    page.page.locator(".tree li").first.wait_for()
    page.page.locator(".maps button").nth(1).click()
    assert page.page.locator("h3", has_text="Layer 1, head 2").is_visible()
    assert "\u201cemma\u201d" in page.page.locator("#panel-look > p").text_content()
    page.page.locator("svg[aria-label^='Map of the tokens']").wait_for()
    letters = page.page.locator("svg[aria-label^='Map of the tokens'] text").all_text_contents()
    assert {"a", "e", "end"} <= set(letters)
    about = page.page.locator("section", has_text="About this model").text_content()
    assert "nats per token" in about
    page.tab("Write")
    page.type("ol")
    page.tab("Look")
    page.page.locator("#panel-look > p", has_text="\u201col\u201d").wait_for()
    page.page.locator(".panel p", has_text="after \u2068\u201c\u2026ol\u201d").wait_for()


def test_runs_are_sorted(open_page: Any, width: int) -> None:
    page = open_page("/#runs", width=width)
    names = page.page.locator(".runs tbody th")
    names.first.wait_for()
    assert set(names.all_text_contents()) == RUNS
    page.page.get_by_role("button", name="Run", exact=True).click()
    assert names.all_text_contents() == sorted(RUNS)
    page.page.get_by_role("button", name="Run", exact=True).click()
    assert names.all_text_contents() == sorted(RUNS, reverse=True)
    page.page.get_by_role("button", name="Loss", exact=True).press("Enter")
    losses = page.page.locator(".runs tbody tr td:nth-child(4)").all_text_contents()
    values = [float(text.split(" \u00b1 ")[0]) for text in losses if text]
    assert len(values) == len(RUNS) - 1
    assert values == sorted(values)
    assert all("\u00b1" in text for text in losses if text)
    assert losses[-1] == ""  # the run without a report
    head = page.page.locator("th[aria-sort=ascending]")
    assert "Loss" in head.text_content()


def test_curves_of_runs_lie_over_each_other(open_page: Any, width: int) -> None:
    page = open_page("/#runs", width=width)
    page.page.locator(".runs tbody th").first.wait_for()
    page.draw("names", "bigram")
    picture = page.page.locator("svg.curves")
    expect(page.page.locator(".level-name")).to_have_count(2, timeout=60_000)
    expect(picture.locator("path")).to_have_count(4, timeout=60_000)  # two of each
    assert "uniform guess 3.296" in picture.get_attribute("aria-label")
    assert "level-name" in picture.evaluate("svg => svg.lastElementChild.getAttribute('class')")
    labels = []
    for axis in ("seconds", "tokens", "steps"):
        page.page.get_by_role("radio", name=axis).check()
        labels.append(picture.get_attribute("aria-label"))
        assert f"over {axis}" in labels[-1]
    page.page.get_by_role("checkbox", name="logarithmic").check()
    page.page.get_by_role("checkbox", name="training loss").uncheck()
    expect(picture.locator("path")).to_have_count(2)
    page.page.get_by_role("checkbox", name="baselines").uncheck()
    assert picture.locator(".level").count() == 0
    page.page.locator("summary", has_text="Newest values").click()
    rows = page.page.locator("[aria-label='Newest values'] tbody tr")
    assert "30" in rows.filter(has_text="names").text_content()
    page.draw("names", "hebrew")
    page.page.get_by_text("their losses cannot be compared").wait_for()


def test_two_runs_are_compared(open_page: Any, width: int) -> None:
    page = open_page("/#runs", width=width)
    page.page.locator(".runs tbody th").first.wait_for()
    page.draw("names")
    assert page.page.get_by_role("button", name="Compare").is_disabled()
    page.draw("names", "bigram")
    page.page.get_by_role("button", name="Compare").click()
    sentences = page.page.locator(".sentences li")
    sentences.first.wait_for()
    assert any("names" in s and "bigram" in s for s in sentences.all_text_contents())
    page.draw("names", "hebrew")
    page.expected.append(
        "Failed to load resource: the server responded with a status of 400 (Bad Request)"
    )
    page.page.get_by_role("button", name="Compare").click()
    page.page.locator("[role=status] .bad").wait_for()


def test_a_run_in_training_is_followed(open_page: Any, width: int, folder: Path) -> None:
    log = folder / "trained" / "log.jsonl"
    whole = log.read_text()
    lines = [line for line in whole.splitlines(keepends=True) if "step" in json.loads(line)]
    log.write_text("".join(lines[:3]))
    try:
        with Lock(folder / "trained"):
            page = open_page("/#runs", width=width)
            page.page.locator(".runs tr", has_text="in training").wait_for()
            page.draw("trained")
            page.page.get_by_role("button", name="trained", exact=True).click()
            detail = page.page.locator("section[aria-label=Run]")
            last = json.loads(lines[2])["step"]
            detail.get_by_text(f"{last} of").wait_for()
            detail.locator(".samples li").first.wait_for()
            detail.get_by_text("order").wait_for(timeout=60_000)  # counts of its text
            with log.open("a") as more:
                more.writelines(lines[3:])
            detail.get_by_text("30 of").wait_for()
            levels = page.page.locator("svg.curves .level")
            assert levels.count() == 2
        page.page.locator(".runs tr", has_text="trained").get_by_text("stopped").wait_for()
    finally:
        log.write_text(whole)


def test_more_runs_than_a_browser_has_connections_are_followed(
    browser: Browser, names_run: Run, tmp_path: Path
) -> None:
    names = [f"run{i}" for i in range(8)]
    lines = (names_run.path / "log.jsonl").read_text().splitlines(keepends=True)
    with ExitStack() as held:
        for name in names:
            shutil.copytree(names_run.path, tmp_path / name)
            (tmp_path / name / "report.json").unlink()
            (tmp_path / name / "log.jsonl").write_text("".join(lines[:-1]))
            held.enter_context(Lock(tmp_path / name))
        server = Live([SimpleNamespace(path=tmp_path)])  # type: ignore[list-item]
        held.callback(server.stop)
        page = Opened(browser, f"{server.url}/#runs")
        page.page.locator(".runs tr", has_text="in training").first.wait_for()
        for name in names:
            page.page.get_by_role("checkbox", name=f"Draw {name}", exact=True).check()
        page.page.locator("summary", has_text="Newest values").click()
        rows = page.page.locator("[aria-label='Newest values'] tbody tr")
        for before, line in ((lines[-2], None), (lines[-1], lines[-1])):
            for name in names if line else ():
                with (tmp_path / name / "log.jsonl").open("a") as log:
                    log.write(line)
            step = str(json.loads(before)["step"])
            for name in names:
                rows.filter(has_text=name).filter(has_text=step).wait_for()
        page.page.close()


def test_the_tabs_follow_keys_and_the_address(open_page: Any) -> None:
    page = open_page("/#runs")
    selected = page.page.locator("[role=tab][aria-selected=true]")
    assert selected.text_content() == "Runs"
    selected.focus()
    page.page.keyboard.press("ArrowRight")
    assert selected.text_content() == "Write"
    page.page.keyboard.press("ArrowLeft")
    assert selected.text_content() == "Runs"
    page.page.keyboard.press("Home")
    assert page.page.url.endswith("#write")
    page.page.evaluate("location.hash = '#look'")
    page.page.locator("#panel-look:not([hidden])").wait_for()
    page.page.keyboard.press("Tab")


def test_right_to_left_text_runs_from_right_to_left(open_page: Any) -> None:
    page = open_page()
    page.choose("hebrew")
    page.type("\u05e9\u05dc\u05d5\u05dd")
    direction = "getComputedStyle(document.getElementById('text')).direction"
    assert page.page.evaluate(direction) == "rtl"


def test_a_key_is_asked_for(browser: Browser, names_run: Run) -> None:
    server = Live([names_run], key="secret")
    try:
        page = Opened(browser, server.url)
        page.page.locator("#key").fill("wrong")
        page.page.keyboard.press("Enter")
        page.page.get_by_text("not the server's").wait_for()
        page.page.locator("#key").fill("secret")
        page.page.keyboard.press("Enter")
        page.page.evaluate(READY)
        page.wait()
        assert page.page.locator("output").count() == 6
        assert page.page.locator("#model").is_hidden()  # there is one
        page.page.close()
    finally:
        server.stop()


def test_a_folder_without_models_shows_its_runs(browser: Browser, tmp_path: Path) -> None:
    server = Live([SimpleNamespace(path=tmp_path)])  # type: ignore[list-item]
    try:
        page = Opened(browser, server.url)
        page.page.get_by_text("No runs yet").wait_for()
        assert page.reported == []
        page.page.close()
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("name", "scheme"), [("names", "light"), ("stream", "dark"), ("hebrew", "dark")]
)
def test_it_fits_every_width_and_axe_finds_nothing_serious(
    open_page: Any, name: str, width: int, scheme: str
) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs axe-playwright-python"
    )
    page = open_page(width=width, color_scheme=scheme)
    page.choose(name)
    page.page.locator("summary", has_text="Settings").click()
    for tab in ("Write", "Look", "Runs"):
        page.tab(tab)
        if tab == "Look":
            page.page.locator(".tree li").first.wait_for()
            page.page.locator("svg[aria-label^='Map of the tokens']").wait_for()
        elif tab == "Runs":
            page.page.locator(".runs tbody th").first.wait_for()
            page.draw(name)
            page.page.locator(".runs").get_by_role("button", name=name, exact=True).click()
            page.page.locator(".samples li").first.wait_for()
        assert page.page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.Axe().run(page.page).response["violations"]
        serious = [
            (v["id"], v["nodes"][0]["html"])
            for v in found
            if v["impact"] in ("serious", "critical")
        ]
        assert serious == [], tab
