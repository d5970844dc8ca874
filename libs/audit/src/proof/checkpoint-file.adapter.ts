import { type FileHandle, open } from 'node:fs/promises';

/** Longer than any two checkpoints. */
const TAIL_BYTES = 64 * 1024;

/** A file that only grows. What it has is not written again: a process that died after it wrote may try again. */
export class CheckpointFile {
  constructor(private readonly path: string) {}

  async keep(notes: readonly string[]): Promise<void> {
    const file = await open(this.path, 'a+', 0o644);
    try {
      const tail = await tailOf(file);
      const missing = notes.filter((note) => !tail.includes(note));
      if (missing.length === 0) return;
      await file.write(missing.map((note) => `${note}\n`).join(''));
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

async function tailOf(file: FileHandle): Promise<string> {
  const { size } = await file.stat();
  const length = Math.min(size, TAIL_BYTES);
  const { buffer } = await file.read({ buffer: Buffer.alloc(length), position: size - length });
  return buffer.toString();
}
