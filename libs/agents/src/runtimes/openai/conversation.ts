import type { ModelWork } from '../../engine/model-calls.js';
import { problemsOf } from './output-check.js';

/** What was said so far, whichever API it is said in. */
export type Turn =
  | { readonly kind: 'user'; readonly text: string }
  | { readonly kind: 'model'; readonly message: unknown }
  | { readonly kind: 'tool'; readonly toolCallId: string; readonly output: unknown };

/** The conversation, rebuilt from what was recorded: the same after every restart. */
export function conversation(prompt: string, { calls }: ModelWork, outputSchema: object | undefined): readonly Turn[] {
  const inOrder = calls.toSorted((a, b) => a.number - b.number);
  return [
    { kind: 'user', text: prompt },
    ...inOrder.flatMap((call): Turn[] => {
      if (call.kind === 'tool')
        return call.answer ? [{ kind: 'tool', toolCallId: call.toolCallId, output: call.answer.output }] : [];
      const { answer } = call;
      if (!answer) return [];
      const said: Turn = { kind: 'model', message: answer.message };
      // Without a call of a tool it was the end, unless it has to be repaired.
      if (answer.toolCalls.length > 0) return [said];
      return [said, { kind: 'user', text: repairText(answer.text, outputSchema) }];
    }),
  ];
}

const repairText = (text: string, outputSchema: object | undefined): string =>
  `Your answer does not match the JSON Schema of the output: ${problemsOf(text, outputSchema).problem ?? 'it is not JSON'}. Answer again, with the corrected JSON alone.`;
