import type { SelectQueryBuilder } from 'typeorm';

import { Rejected } from '#libs/kernel/src/errors.js';

import type { WorkflowTable } from './workflow.table.js';
import type { WorkflowView } from './workflow.view.js';

export const STATUSES = ['active', 'archived'] as const;
export const BOOLEANS = ['true', 'false'] as const;

/** What the list of workflows can be asked for, as the query string says it. */
export interface WorkflowFilter {
  readonly status?: string | undefined;
  readonly paused?: string | undefined;
  readonly disabled?: string | undefined;
  /** `name:value`, once or several times. */
  readonly label?: string | readonly string[] | undefined;
}

/**
 * Narrows the list. What the text of a workflow says is asked of the table in memory.
 * @throws Rejected `list.bad_filter`
 */
export function narrowWorkflows(
  query: SelectQueryBuilder<WorkflowView>,
  table: WorkflowTable,
  orgId: string,
  { status, paused, disabled, label }: WorkflowFilter,
): void {
  oneOf('status', status, STATUSES);
  oneOf('paused', paused, BOOLEANS);
  oneOf('disabled', disabled, BOOLEANS);
  const among: (readonly string[])[] = [];
  if (paused) among.push(table.named(orgId, (one) => String(one.paused) === paused));
  if (disabled) among.push(table.named(orgId, ({ definition }) => String(definition?.disabled ?? false) === disabled));
  for (const [key, value] of [label ?? []].flat().map(labelOf)) among.push(table.labelled(orgId, { [key]: value }));
  query.where('workflow.orgId = :orgId', { orgId });
  query.andWhere('workflow.status = :status', { status: status ?? 'active' });
  for (const [index, names] of among.entries())
    query.andWhere(`workflow.name = any(:names${index})`, { [`names${index}`]: names });
}

function labelOf(text: string): readonly [key: string, value: string] {
  const [key, ...value] = text.split(':');
  if (key && value.length > 0) return [key, value.join(':')];
  throw new Rejected('invalid', 'list.bad_filter', `"label" must be name:value, such as team:payments, not "${text}".`);
}

/** @throws Rejected `list.bad_filter` */
export function oneOf(name: string, value: string | undefined, allowed: readonly string[]): void {
  if (value !== undefined && !allowed.includes(value))
    throw new Rejected('invalid', 'list.bad_filter', `"${name}" must be one of ${allowed.join(', ')}.`);
}
