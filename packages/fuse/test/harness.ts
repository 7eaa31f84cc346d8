/** A session on a recording file system, with a client, for tests of single requests. */
import { openSys } from '@oriel/sys';
import type { SessionOptions } from '../src/index.ts';
import { TestClient, type TestClientOptions } from '../src/testing/index.ts';
import { RecordingFilesystem } from './recording-filesystem.ts';

export const sys = openSys();

/** A client whose session is initialised; `fs.calls` is empty. */
export function connect(options: Partial<TestClientOptions> = {}): { client: TestClient; fs: RecordingFilesystem } {
  const fs = new RecordingFilesystem();
  const client = new TestClient({ sys, fs, ...options });
  client.init();
  fs.take();
  return { client, fs };
}

/** The bytes of `text`, in hex with any white space. */
export function hex(text: string): Uint8Array {
  return Buffer.from(text.replace(/\s/g, ''), 'hex');
}

/** Bytes as hex. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

export type { SessionOptions };
