#!/usr/bin/env bash
# Makes a release: checks everything, builds it, tries the wheel in a fresh environment, and tags it. Publishes nothing.
#     bash ci/release.sh 0.2.0
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?usage: bash ci/release.sh VERSION}

fail() { echo "release: $*" >&2; exit 2; }
[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed"
grep -qx "__version__ = \"$version\"" xpcnn/__init__.py || fail "xpcnn/__init__.py has another version than $version"
grep -q "^## \[$version\] - " CHANGELOG.md || fail "CHANGELOG.md has no section '## [$version] - DATE'"
grep -qx "version: $version" CITATION.cff || fail "CITATION.cff has another version than $version"
grep -q "^date-released: " CITATION.cff || fail "CITATION.cff has no date-released"
! git rev-parse -q --verify "refs/tags/v$version" > /dev/null || fail "the tag v$version exists"

[ "${CHECK:-yes}" = no ] || bash ci/check.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf dist
python3 -m venv "$work/build"
"$work/build/bin/pip" install -q build
"$work/build/bin/python" -m build --outdir dist .

python3 -m venv "$work/fresh"
"$work/fresh/bin/pip" install -q "dist/xpcnn-$version-py3-none-any.whl"
(
    cd "$work"
    [ "$(fresh/bin/xpcnn --version)" = "xpcnn $version" ] || fail "the wheel has another version"
    fresh/bin/xpcnn gradcheck
    fresh/bin/xpcnn train digits --epochs 3 --quiet
)
git tag -a "v$version" -m "xpcnn $version"
printf 'tagged v%s; publish with:\n  git push --tags\n  twine upload dist/*\n' "$version"
