package report

// style is the look of all pages. Tables and rows of images that are wider than a
// telephone scroll in boxes of their own; drawings bring colours for dark pages with
// them.
const style = `
:root { color-scheme: light dark; --ink: #1d2125; --soft: #59616a; --paper: #fff; --rule: #d9dde1; --strong: #8a929a; --band: #f4f6f8; --link: #0b62a8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dfe3e7; --soft: #9aa4ae; --paper: #14171a; --rule: #343a40; --strong: #6a737c; --band: #1d2125; --link: #6db3f2; }
  .images img { filter: brightness(.88); }
}
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem; margin: 2rem auto 4rem; padding: 0 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 3rem 0 .8rem; border-bottom: 1px solid var(--rule); padding-bottom: .25rem; }
p, li { max-width: 46rem; }
a { color: var(--link); }
nav ul { padding-left: 1.2rem; columns: 20rem; }
nav li { break-inside: avoid; }
li { margin: .25rem 0; }
pre { background: var(--band); border-radius: 6px; padding: .7rem .9rem; overflow-x: auto; font-size: .88rem; line-height: 1.4; }
.title { font-weight: 600; margin: 1.6rem 0 .4rem; }
.table { overflow-x: auto; margin: 0 0 1.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--rule); text-align: left; white-space: nowrap; vertical-align: top; }
th { border-bottom: 2px solid var(--strong); vertical-align: bottom; }
th:first-child, td:first-child { padding-left: 0; }
.right { text-align: right; }
td.long { white-space: normal; min-width: 18rem; }
figure { margin: 1.4rem 0; }
img { display: block; height: auto; }
.drawing img { width: 100%; max-width: 48rem; }
.images { overflow-x: auto; }
.images img { max-width: max(100%, 34rem); border-radius: 4px; }
figcaption { color: var(--soft); font-size: .92rem; margin-top: .4rem; max-width: 46rem; }
`
