/** Carries out `oriel ctl`: what comes back goes to standard output, or to a file. */
import { statSync, writeFileSync } from 'node:fs';
import type { ControlCall } from './commands/ctl.ts';
import { askControl } from './control/client.ts';
import type { ScreenshotEntry } from './control/protocol.ts';
import { ControlError } from './device-module.ts';
import { replaceFile } from './replace-file.ts';

/** A file is replaced as a whole; a pipe or a device, which cannot be, is written to. */
function writePicture(file: string, bytes: Uint8Array): void {
  try {
    const found = statSync(file, { throwIfNoEntry: false });
    if (found === undefined || found.isFile()) {
      replaceFile(file, bytes);
    } else {
      writeFileSync(file, bytes);
    }
  } catch (error) {
    throw new ControlError(`cannot write ${file}`, { cause: error });
  }
}

/** @throws ControlError in one line */
export async function runCtl({ socketPath, request, file }: ControlCall, out: NodeJS.WritableStream): Promise<void> {
  const entries = await askControl(socketPath, request);
  if (file === undefined) {
    out.write(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
    return;
  }
  const png = Buffer.from((entries[0] as ScreenshotEntry).png, 'base64');
  if (file === '-') {
    out.write(png);
  } else {
    writePicture(file, png);
  }
}
