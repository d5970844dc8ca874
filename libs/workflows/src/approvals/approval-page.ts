import { createHash } from 'node:crypto';

import { stringifyJson } from '#libs/kernel/src/text/exact-json.js';

import type { InputSpec, InputSpecs } from '../language/inputs.js';

/** What the page of a link shows. Everything in it is text: nothing is taken for HTML. */
export interface ApprovalPage {
  readonly decision: 'approve' | 'reject';
  readonly title: string;
  readonly description: string | undefined;
  readonly workflow: string;
  readonly runId: string;
  readonly path: string;
  /** In whose name the link decides. */
  readonly approver: string | undefined;
  readonly until: string;
  readonly form: InputSpecs;
  /** What was sent before, and what is wrong with it. */
  readonly given?: Readonly<Record<string, string>>;
  readonly problems?: readonly string[];
}

const STYLE = `
:root { color-scheme: light dark; --text: #1d2430; --soft: #5a6372; --line: #8b94a3; --page: #f6f7f9; --card: #fff; --act: #1f5fbf; --on-act: #fff; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --text: #e8ebf0; --soft: #a9b2c0; --line: #6c7686; --page: #14181f; --card: #1d232c; --act: #8ab4f8; --on-act: #10151c; --bad: #f2b8b5; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 36rem; margin: 4vh auto; padding: 1.5rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; overflow-wrap: anywhere; }
h1 { margin: 0 0 .5rem; font-size: 1.5rem; line-height: 1.25; }
p { margin: .5rem 0; }
.description { white-space: pre-wrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 1rem 0; }
dt { color: var(--soft); }
dd { margin: 0; }
label { display: block; margin-top: 1rem; font-weight: 600; }
.check { display: flex; gap: .5rem; align-items: center; }
.hint { margin: 0; color: var(--soft); font-size: .875rem; }
input:not([type=checkbox]), select, textarea { width: 100%; padding: .5rem; font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: .25rem; }
button { margin-top: 1.5rem; padding: .625rem 1.5rem; font: inherit; font-weight: 600; color: var(--on-act); background: var(--act); border: 0; border-radius: .25rem; cursor: pointer; }
:focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
.problems { padding: .5rem 1rem; border: 2px solid var(--bad); border-radius: .25rem; color: var(--bad); }
.problems ul { margin: 0; padding-left: 1.25rem; }
code { font-size: .875rem; }
`;

/** No script, nothing from elsewhere; the form goes back to where it came from. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`;

/** The page with the button. Opening it decides nothing: programs that scan mails follow links. */
export function approvalPage(page: ApprovalPage): string {
  const { decision, title, description, workflow, runId, path, approver, until, form, given, problems = [] } = page;
  const verb = decision === 'approve' ? 'Approve' : 'Reject';
  const fields = decision === 'approve' ? Object.entries(form).map(([name, spec]) => field(name, spec, given)) : [];
  return documentOf(
    `${verb}: ${title}`,
    `<h1>${text(title)}</h1>
${description === undefined ? '' : `<p class="description">${text(description)}</p>`}
<dl>
<dt>Workflow</dt><dd>${text(workflow)}</dd>
<dt>Run</dt><dd><code>${text(runId)}</code></dd>
<dt>Step</dt><dd><code>${text(path)}</code></dd>
${approver === undefined ? '' : `<dt>You decide as</dt><dd>${text(approver)}</dd>`}
<dt>Until</dt><dd><time datetime="${text(until)}">${text(inWords(until))}</time></dd>
</dl>
${problems.length === 0 ? '' : `<div class="problems" role="alert"><p>Not sent. Change these values:</p><ul>${problems.map((one) => `<li>${text(one)}</li>`).join('')}</ul></div>`}
<form method="post">
${fields.join('\n')}
<label for="comment">Comment</label>
<textarea id="comment" name="comment" rows="3" maxlength="2000">${text(given?.['comment'] ?? '')}</textarea>
<button>${verb}</button>
</form>`,
  );
}

/** The page of everything else: what happened, and what to do. */
export const messagePage = (title: string, ...paragraphs: readonly string[]): string =>
  documentOf(title, `<h1>${text(title)}</h1>\n${paragraphs.map((one) => `<p>${text(one)}</p>`).join('\n')}`);

const documentOf = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${text(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;

/** Names of fields of the form begin with this, so that none is taken for the comment. */
export const FIELD = 'form.';

function field(
  name: string,
  { type, description, required, default: preset, options = [] }: InputSpec,
  given: Readonly<Record<string, string>> | undefined,
): string {
  const key = text(FIELD + name);
  // A box that is not ticked is not sent: what is missing was left empty.
  const value = given ? (given[FIELD + name] ?? '') : shown(preset);
  const hint = description === undefined ? '' : `<p class="hint" id="${key}-hint">${text(description)}</p>`;
  const common = `id="${key}" name="${key}"${description === undefined ? '' : ` aria-describedby="${key}-hint"`}`;
  if (type === 'boolean')
    return `<label class="check"><input type="checkbox" ${common}${value === 'true' || value === 'on' ? ' checked' : ''}> ${text(name)}</label>${hint}`;
  const must = required ? ' required' : '';
  const label = `<label for="${key}">${text(name)}${required ? ' (required)' : ''}</label>${hint}`;
  if (type === 'select') {
    const all = [...(required ? [] : ['']), ...options.map(String)];
    const choices = all.map(
      (one) => `<option value="${text(one)}"${one === value ? ' selected' : ''}>${text(one)}</option>`,
    );
    return `${label}<select ${common}${must}>${choices.join('')}</select>`;
  }
  if (type === 'list' || type === 'object')
    return `${label}<textarea ${common}${must} rows="4" placeholder="JSON">${text(value)}</textarea>`;
  const kind = type === 'number' ? ' type="number" step="any"' : ' type="text"';
  return `${label}<input ${common}${kind}${must} value="${text(value)}">`;
}

const shown = (value: unknown): string =>
  value === undefined || value === null ? '' : typeof value === 'string' ? value : stringifyJson(value);

const inWords = (time: string): string => `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const text = (value: string): string => value.replace(/[&<>"']/g, (one) => ENTITIES[one]!);
