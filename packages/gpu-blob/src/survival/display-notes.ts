/** The displays in a session's journal: what each scanout shows, cursors, and what the host plugged. */
import type { OutputSize } from '../options.ts';
import type { CursorShown } from '../scanouts/cursor.ts';
import * as R from './records.ts';

interface ScanoutNote {
  readonly record: number;
  /** The serial number of what it shows. */
  readonly shows: number;
}

/** Records of displays. */
export class DisplayNotes {
  readonly #records: R.Records;
  readonly #commit: () => void;
  readonly #scanouts = new Map<number, ScanoutNote>();
  readonly #cursors = new Map<number, number>();
  #outputs: number | null = null;

  /** @param commit - makes all that was noted count */
  constructor(records: R.Records, commit: () => void) {
    this.#records = records;
    this.#commit = commit;
  }

  /** @param serial - of the resource that is shown; 0: the scanout is off */
  scanoutShows(scanout: number, serial: number, command: Uint8Array): void {
    const before = this.#scanouts.get(scanout);
    if (before !== undefined) this.#records.stageEnd(before.record);
    this.#scanouts.delete(scanout);
    if (serial === 0) return;
    const record = this.#records.add({ kind: R.SCANOUT, key: scanout, parent: serial, data: command });
    this.takeUpScanout(scanout, record, serial);
  }

  /** A resource has no id any more: nothing shows it. @returns records that are of no account then */
  forget(serial: number): readonly number[] {
    const orphans: number[] = [];
    for (const [scanout, { record, shows }] of this.#scanouts) {
      if (shows !== serial) continue;
      this.#scanouts.delete(scanout);
      orphans.push(record);
    }
    return orphans;
  }

  takeUpScanout(scanout: number, record: number, shows: number): void {
    this.#scanouts.set(scanout, { record, shows });
  }

  /** A cursor has a new image, or is hidden (null); or it moved. */
  cursorIs(scanout: number, shown: CursorShown | null, moved: boolean): void {
    const records = this.#records;
    const before = this.#cursors.get(scanout);
    if (moved && shown !== null && before !== undefined) {
      // A kill between the two stores: the move is carried out once more.
      records.set(before, R.VALUE, shown.x);
      records.set(before, R.VALUE + 1, shown.y);
      return;
    }
    if (before !== undefined) records.stageEnd(before);
    this.#cursors.delete(scanout);
    if (shown !== null) {
      const values = [shown.x, shown.y, shown.hotX, shown.hotY];
      this.takeUpCursor(scanout, records.add({ kind: R.CURSOR, key: scanout, values, data: shown.image }));
    }
    this.#commit();
  }

  /** The host plugged displays. */
  outputsSet(sizes: readonly OutputSize[]): void {
    const words = sizes.flatMap(({ width, height, enabled = true }) => [width, height, enabled ? 1 : 0]);
    const data = new Uint8Array(Uint32Array.from(words).buffer);
    if (this.#outputs !== null) this.#records.stageEnd(this.#outputs);
    this.#outputs = this.#records.add({ kind: R.OUTPUTS, key: 0, data });
    this.#commit();
  }

  /** @returns what `outputsSet` was told by a process before */
  takeUpOutputs(record: number): readonly OutputSize[] {
    this.#outputs = record;
    const words = new Uint32Array(this.#records.data(record).slice().buffer);
    const sizes: OutputSize[] = [];
    for (let at = 0; at + 2 < words.length; at += 3) {
      sizes.push({ width: words[at]!, height: words[at + 1]!, enabled: words[at + 2] !== 0 });
    }
    return sizes;
  }

  takeUpCursor(scanout: number, record: number): void {
    this.#cursors.set(scanout, record);
  }
}
