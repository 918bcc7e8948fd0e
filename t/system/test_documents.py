"""The documents: what they tell to do works, what they show is what comes, what they point to is there.

A fenced block of a document is, by its first word:
  sh       run, by bash with -e, the blocks of a document in one shell from top to bottom, in a system of their own
  text     what the sh block before it says, on both channels. Ids, times and numbers may be others; a line `...` stands
           for any lines, `...` at the end of a line for the rest of it
  console  for another machine than this one: not run. ELSEWHERE names the documents that are so altogether, and why
  others   a file's content
It happens in a folder that looks like a clone of the repository after a build, whose build/run is a private one."""

import hashlib
import os
import re
import signal
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD") or "build")
TOOLS = os.path.join(ROOT, os.environ.get("TOOLS") or os.environ.get("BUILD") or "build")

# Commands that are left out of a block, with whatever follows.
LEFT_OUT = {
    "make test": "would run this test, and ends the system of the run it is part of",
    "make asan": "runs all tests for minutes",
    "make fuzz": "compiles all with clang, and runs for minutes",
    "make bench": "loads the machine for minutes",
}
ELSEWHERE = {
    "docs/deploy.md": "a server, by its administrator",
    "docs/docker.md": "a machine with a container engine",
    "docs/swap.md": "a machine with the Python services",
}
CONTENT = {"nginx", "json", "yaml", "ini", "c", "make", "python", "dockerfile", "diff"}
SPEED = "120"           # a driver after 2.5 to 5 s: time to look and to cancel, on a busy machine too
LIMIT = 150


def documents():
    """Every Markdown file that git has or would take."""
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT,
                           check=True, capture_output=True, text=True).stdout.split()
    return sorted(name for name in set(names) if os.path.exists(os.path.join(ROOT, name)))


def read(name):
    """A document's text."""
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def blocks(name):
    """The fenced blocks: [(first word, line number of the fence, content)]."""
    found, inside = [], None
    for number, line in enumerate(read(name).splitlines(), 1):
        fence = re.match(r"\s*```(.*)", line)
        if fence and inside is None:
            inside = (fence[1].strip(), number, [])
        elif fence:
            found.append((inside[0], inside[1], "\n".join(inside[2])))
            inside = None
        elif inside is not None:
            inside[2].append(line)
    assert inside is None, f"{name}:{inside[1]}: the block does not end"
    return found


def prose(name):
    """A document without its fenced blocks."""
    return re.sub(r"(?ms)^\s*```.*?^\s*```\s*$", "", read(name))


DOCUMENTS = documents()
RUNNABLE = [name for name in DOCUMENTS
            if name not in ELSEWHERE and any(kind == "sh" for kind, _, _ in blocks(name))]


# What blocks say.

def command_of(content):
    """A block without the commands that are left out, which stand on lines of their own."""
    lines = content.splitlines()
    return "\n".join(line for line in lines if " ".join(line.split()[:2]) not in LEFT_OUT) + "\n"


def plain(line):
    """A line with all that differs from run to run made the same."""
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    line = re.sub(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", "<id>", line)
    line = re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z|\+00:00)?", "<time>", line)
    line = re.sub(r"datetime\.datetime\([^)]*\)", "<time>", line)
    line = re.sub(r"(?<![\w.])-?([0-9a-f]{8,}\b|\d+(\.\d+)*)", "<n>", line)
    return re.sub(r"\s+", " ", line).strip()


def matches(expected, actual):
    """Whether the lines are the expected ones, where `...` stands for any."""
    if not expected:
        return not actual
    if expected[0] == "...":
        return any(matches(expected[1:], actual[skip:]) for skip in range(len(actual) + 1))
    if not actual:
        return False
    head, line = expected[0], actual[0]
    same = line.startswith(head[:-3].rstrip()) if head.endswith("...") else line == head
    return same and matches(expected[1:], actual[1:])


def lines_of(text):
    """The lines that count."""
    return [line for line in map(plain, text.splitlines()) if line]


@pytest.mark.parametrize("expected, actual, same", [
    ("paid 3.5 s", "paid 12 s", True), ("paid", "failed", False), ("a\n...\nc", "a\nb\nb\nc", True),
    ("a\n...\nc", "a\nb", False), ('{"id": ...', '{"id":  "x"}', True), ("a", "a\nb", False), ("a\nb", "a", False)])
def test_output_is_compared_as_said(expected, actual, same):
    assert matches(lines_of(expected), lines_of(actual)) == same


@pytest.fixture(scope="module", name="clone")
def private_system(tmp_path_factory):
    """A folder like a clone's, and the environment of somebody who has just come."""
    folder = tmp_path_factory.mktemp("clone")
    for name in os.listdir(ROOT):
        if name not in ("build", ".git"):
            os.symlink(os.path.join(ROOT, name), folder / name)
    (folder / "build").mkdir()
    for name, where in (("bin", BUILD), ("modules", BUILD), ("docs", BUILD), ("venv", TOOLS), ("tools", TOOLS)):
        os.symlink(os.path.join(where, name), folder / "build" / name)
    foreign = ("API_KEY", "CA_CERT", "PARTNERS", "ORDERDS", "SWEEPDS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    env = {key: value for key, value in os.environ.items()
           if key not in foreign and not key.endswith(("_PORT", "_URL", "_PID", "_PIDS"))}
    env |= {"BUILD": BUILD, "TOOLS": TOOLS, "RUN": str(folder / "build/run"), "PORTS": "free", "SPEED": SPEED}
    (folder / "build/.curlrc").write_text("fail-with-body\n", encoding="ascii")    # an HTTP error is a failure
    env["CURL_HOME"] = str(folder / "build")
    clone = {"folder": folder, "env": env}
    yield clone
    make(clone, "down")


def make(clone, *words):
    """make in the clone."""
    return subprocess.run(["make", "-s", *words], cwd=clone["folder"], env=clone["env"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT, check=False)


def run_blocks(clone, name, folder):
    """Runs a document's sh blocks. Returns what each said, and the line number of the one that failed, or None."""
    script = ["set -e -o pipefail"]
    for kind, line, content in blocks(name):
        if kind == "sh":
            (folder / f"{line}.sh").write_text(command_of(content), encoding="utf-8")
            script.append(f"exec > {folder}/{line}.out 2>&1; echo {line} > {folder}/at; . {folder}/{line}.sh")
    script.append(f"echo end > {folder}/at")
    with subprocess.Popen(["bash", "-c", "\n".join(script)], cwd=clone["folder"], env=clone["env"],
                          stdin=subprocess.DEVNULL, start_new_session=True) as shell:
        try:
            shell.wait(LIMIT)
        except BaseException as error:
            os.killpg(shell.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
    outputs = {int(path.stem): path.read_text(encoding="utf-8", errors="replace") for path in folder.glob("*.out")}
    at = (folder / "at").read_text(encoding="utf-8").strip()
    return outputs, None if at == "end" else int(at)


@pytest.mark.parametrize("name", RUNNABLE)
def test_the_commands_of_a_document_work_and_say_what_it_shows(clone, tmp_path, name):
    up = make(clone, "up")
    assert up.returncode == 0, up.stdout + up.stderr
    outputs, failed = run_blocks(clone, name, tmp_path)
    assert failed is None, f"{name}:{failed}: failed or did not end:\n{outputs.get(failed)}"
    said = None
    for kind, line, content in blocks(name):
        if kind == "sh":
            said = outputs[line]
        elif kind == "text":
            assert said is not None, f"{name}:{line}: shows the output of nothing"
            same = matches(lines_of(content), lines_of(said))
            assert same, f"{name}:{line}: shows\n{content}\nbut this came:\n{said}"
            said = None


# What documents may have, without a system.

@pytest.mark.parametrize("name", DOCUMENTS)
def test_blocks_are_of_a_known_kind(name):
    for kind, line, content in blocks(name):
        if kind == "console":
            assert name in ELSEWHERE, f"{name}:{line}: who runs this? (ELSEWHERE)"
        elif kind == "sh":
            assert name not in ELSEWHERE, f"{name}:{line}: console, or take the document out of ELSEWHERE"
        elif kind != "text":
            assert kind in CONTENT, f"{name}:{line}: `{kind}`: one of sh, text, console, {', '.join(sorted(CONTENT))}"
        if kind in CONTENT or kind == "text":
            assert not re.search(r"(?m)^\$ ", content), f"{name}:{line}: a command that nobody runs"


def test_what_is_left_out_is_there():
    commands = "\n".join(content for name in DOCUMENTS for kind, _, content in blocks(name) if kind == "sh")
    assert all(re.search(rf"(?m)^{command}\b", commands) for command in LEFT_OUT)


def test_every_make_target_that_is_named_exists():
    makefile = read("Makefile")
    for name in DOCUMENTS:
        for target in re.findall(r"(?:^|[`;&|] *)make ([a-z][a-z-]*)", read(name), re.M):
            target = re.sub(r"^(start|stop|kill|pid)-.*", r"\1-%", target)
            there = re.search(rf"(?m)^([a-z %-]* )?{re.escape(target)}( [a-z %-]*)?:", makefile)
            assert there, f"{name}: there is no make {target}"


def test_every_command_of_foodctl_that_is_named_exists():
    commands = {match for name in DOCUMENTS for match in re.findall(r"foodctl ((?:[a-z]+ )?[a-z]+)", read(name))}
    nouns = "order|urls|cache|queue|keys"
    for command in sorted(commands):
        words = command.split() if re.match(rf"({nouns}) ", command) else command.split()[:1]
        if re.fullmatch(rf"{nouns}|health|respond", words[0]):
            program = os.path.join(BUILD, "bin/foodctl")
            result = subprocess.run([program, *words, "--help"], capture_output=True, check=False)
            assert result.returncode == 0 or len(words) == 1, f"there is no foodctl {' '.join(words)}"


def anchors(name):
    """The anchors of a document's headings, as a forge makes them."""
    found = set()
    for heading in re.findall(r"(?m)^#+ +(.*)$", prose(name)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
        number = 0
        while (slug if not number else f"{slug}-{number}") in found:
            number += 1
        found.add(slug if not number else f"{slug}-{number}")
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)[^)]*\)", prose(name)) + re.findall(r'(?:src|href)="([^"]+)"', prose(name)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        where = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
        assert os.path.exists(os.path.join(ROOT, where)), f"{name}: {target}"
        assert not anchor or not where.endswith(".md") or anchor in anchors(where), f"{name}: {target}: no such heading"


# Drawings.

def source_of(picture):
    """What an SVG was drawn from, as bytes."""
    base = os.path.join(ROOT, picture.removesuffix(".svg"))
    for suffix in (".dot", ".puml"):
        if os.path.exists(base + suffix):
            with open(base + suffix, "rb") as file:
                return file.read()
    return from_the_code("dot")


def from_the_code(how):
    """What the state machine's program prints."""
    return subprocess.run([os.path.join(BUILD, "docs/state-machine"), how], check=True, capture_output=True).stdout


@pytest.mark.parametrize("name", ["containers", "order", "state-machine"])
def test_a_diagram_is_drawn_from_its_source_as_it_is_now(name):
    picture = f"docs/diagrams/{name}.svg"
    drawn_from = re.search(r"SHA-256 ([0-9a-f]{64})", read(picture))[1]
    source = hashlib.sha256(source_of(picture)).hexdigest()
    assert drawn_from == source, f"{picture} is of another source: make diagrams"


def test_the_states_are_written_as_the_code_has_them():
    assert from_the_code("markdown").decode() == read("docs/state-machine.md"), "make diagrams"
