import type { TObject, TSchema } from '@sinclair/typebox';

import type { NamedDefinition, Step, Trigger } from './definition.js';
import type { Expressions } from './expressions.js';
import type { Visible } from './scope-schema.js';
import type { KnownOrganisation, SourceProblems } from './source-problems.js';

/** What the language has words for. The readers are given it, since kinds of steps and triggers stand above the language. */
export interface Vocabulary {
  /** Kinds of steps that have a key of their own. */
  readonly keywords: readonly KeywordSyntax[];
  /** What `uses` may name. */
  readonly named: ReadonlyMap<string, NamedSyntax>;
  readonly triggers: readonly TriggerSyntax[];
  /** Sources of the events that integrations receive. */
  readonly sources: readonly string[];
  readonly organisation?: KnownOrganisation;
}

/** The same language for one organisation. */
export const vocabularyOf = (
  { keywords, named, triggers, sources }: Vocabulary,
  organisation: KnownOrganisation,
): Vocabulary => ({ keywords, named, triggers, sources, organisation });

/** For texts that are saved already. */
export const savedVocabulary = (vocabulary: Vocabulary): Vocabulary => vocabularyOf(vocabulary, 'any');

export type RawObject = Readonly<Record<string, unknown>>;

/** A kind of step that has a key of its own, such as `switch`. */
export interface KeywordSyntax<Fields extends object = object> {
  /** The key; a step has exactly one. */
  readonly name: string;
  /** All keys of such a step, made with `stepShape`. */
  readonly shape: TObject;
  readonly nesting?: Nesting<Fields>;
  /** JSON Schema of `steps.<id>.output`. Default: anything. */
  readonly outputSchema?: TSchema;
  /** The fields that the kind adds. Called even if the shape does not fit, so that one save names every problem. */
  read(raw: RawObject, reading: Reading): Fields & NotCommon;
}

/** A kind must not name a field as one that every step has: it would replace it. */
type NotCommon = { readonly [Key in keyof Step]?: never };

/** Where a step holds lists of steps. */
export interface Nesting<Fields extends object = object> {
  /** Path of the lists below the step; `*` stands for each entry of a list: `['switch', '*', 'steps']`. */
  readonly at: readonly string[];
  /**
   * `shared`: the steps inside are seen after the step, as if they stood beside it. `own`: each pass has a scope of its
   * own, which nobody outside sees.
   */
  readonly scope: 'shared' | 'own';
  lists(step: Fields): readonly (readonly Step[])[];
}

/** What a kind needs in order to read one step. */
export interface Reading {
  /** Of the step. */
  readonly pointer: string;
  /** What expressions of the step see. */
  readonly visible: Visible;
  readonly expressions: Expressions;
  readonly problems: SourceProblems;
  /** Reads one step of a nested list. */
  readonly step: (value: unknown, pointer: string, visible: Visible) => Step | undefined;
  /** Reads a nested list; its steps see `visible` and each other. */
  readonly list: (
    value: unknown,
    pointer: string,
    visible: Visible,
  ) => { readonly steps: readonly Step[]; readonly visible: Visible };
}

/** A step that `uses` may name. */
export interface NamedSyntax {
  /** Name of the step's kind. */
  readonly kind: string;
  readonly definition: NamedDefinition;
  /** Whether `with` may have secrets: the step sends them out, and what is recorded does not have them. */
  readonly takesSecrets?: boolean;
  /** Why `retry` has no effect on the step, if it has none. */
  readonly noRetry?: string;
  /** What the schema of `with` cannot say. */
  check?(input: RawObject, pointer: string, problems: SourceProblems): void;
}

/** A kind of trigger. */
export interface TriggerSyntax {
  /** Its `type`. */
  readonly name: string;
  readonly shape: TObject;
  /** A workflow has one of them at most. */
  readonly isSingle?: boolean;
  /** @param value fits the shape. @param sources of the events that integrations receive. */
  read(value: RawObject, pointer: string, problems: SourceProblems, sources: readonly string[]): Trigger;
}
