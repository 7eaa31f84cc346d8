/** The thread that makes PNG files: a large picture takes a second, and the main thread owes answers to signals. */
import { parentPort } from 'node:worker_threads';
import type { Frame } from './device-module.ts';
import { explain } from './explain.ts';
import { replaceFile } from './replace-file.ts';
import { encodePng } from './screenshots/png.ts';

/** A picture to make. */
export interface EncoderJob {
  readonly id: number;
  readonly frame: Frame;
  /** Where it goes; undefined: back. */
  readonly file: string | undefined;
}

/** `png` is null when it went to a file; `error`: why there is none. */
export type EncoderResult =
  | { readonly id: number; readonly png: Uint8Array | null }
  | { readonly id: number; readonly error: string };

function make({ id, frame, file }: EncoderJob): EncoderResult {
  try {
    const png = encodePng(frame);
    if (file === undefined) {
      return { id, png };
    }
    replaceFile(file, png);
    return { id, png: null };
  } catch (error) {
    return { id, error: explain(error) };
  }
}

parentPort!.on('message', (job: EncoderJob) => parentPort!.postMessage(make(job)));
