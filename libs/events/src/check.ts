import type { TObject } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';

import type { Problem } from '#libs/kernel/src/errors.js';
import { rounded } from '#libs/kernel/src/text/exact-json.js';

import { catalogue, type EventType } from './catalogue.js';
import { shapeProblems } from './shapes/shape-check.js';

/** Compiled when first asked for: a check then costs a few comparisons. */
const compiled = new Map<EventType, TypeCheck<TObject>>();

function checkOf(type: EventType): TypeCheck<TObject> {
  let check = compiled.get(type);
  if (!check) compiled.set(type, (check = TypeCompiler.Compile(catalogue[type].data)));
  return check;
}

/** Whether `data` is as the schema of its type says. */
export const satisfies = (type: EventType, data: unknown): boolean =>
  checkOf(type).Check(data) || checkOf(type).Check(rounded(data));

const MOST = 20;

/** What must change in `data` so that it fits the schema of its type; pointers are below `root`. Empty if it fits. */
export const problemsOf = (type: EventType, data: unknown, root = ''): readonly Problem[] =>
  shapeProblems(catalogue[type].data, rounded(data), { prefix: 'event', pointer: root })
    .slice(0, MOST)
    .map(({ pointer, detail, code }) => ({ pointer, detail, code }));
