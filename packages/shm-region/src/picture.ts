/** A picture of a window for people: a bar of what lies where, and a legend. */
import { formatBytes, formatOffset } from './format.ts';
import { printable } from './label.ts';
import type { Range } from './range.ts';

/** What the picture needs to know of a mapping; entries of a region fit as they are. */
export interface PictureEntry extends Range {
  readonly label: string;
  readonly state?: 'mapping' | 'live' | 'unmapping';
}

export interface PictureOptions {
  /** Characters of the bar, at least 8; 64 by default. */
  readonly width?: number;
  /** Most lines of legend; 16 by default. */
  readonly legend?: number;
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const FREE = '.';
const SHARED_CELL = '+';
const BEYOND_LETTERS = '#';
const LONGEST_LABEL = 40;
const PLACES_SHOWN = 3;

interface Group {
  readonly letter: string;
  readonly label: string;
  readonly entries: PictureEntry[];
  bytes: number;
}

/**
 * Draws a window. Equal labels share a letter; `.` is free, `+` a cell with several labels, `#` a label beyond the
 * alphabet. A mapping smaller than a cell still shows. Labels are made printable.
 * @param size - bytes of the window
 * @returns lines: a summary, the bar with its scale, the legend
 * @throws RangeError for a width below 8 or an entry outside the window
 */
export function renderWindow(entries: readonly PictureEntry[], size: number, options: PictureOptions = {}): string[] {
  const { width = 64, legend = 16 } = options;
  if (!Number.isSafeInteger(width) || width < 8) {
    throw new RangeError(`width ${width}: at least 8`);
  }
  const sorted = [...entries].sort((a, b) => a.shmOffset - b.shmOffset);
  const groups = groupByLabel(sorted);
  const lines = [summary(sorted, size), `[${bar(groups.values(), size, width)}]`, scale(size, width)];
  const shown = [...groups.values()];
  for (const group of shown.slice(0, legend)) {
    lines.push(legendLine(group));
  }
  if (shown.length > legend) {
    lines.push(` (and ${shown.length - legend} more)`);
  }
  return lines;
}

function groupByLabel(sorted: readonly PictureEntry[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const entry of sorted) {
    let group = groups.get(entry.label);
    if (group === undefined) {
      group = { letter: LETTERS[groups.size] ?? BEYOND_LETTERS, label: shorten(entry.label), entries: [], bytes: 0 };
      groups.set(entry.label, group);
    }
    group.entries.push(entry);
    group.bytes += entry.len;
  }
  return groups;
}

function summary(sorted: readonly PictureEntry[], size: number): string {
  let end = 0;
  let used = 0;
  let largestHole = 0;
  for (const { shmOffset, len } of sorted) {
    largestHole = Math.max(largestHole, shmOffset - end);
    // An entry that waits for another to go lies over it: its bytes count once.
    used += Math.max(0, shmOffset + len - Math.max(end, shmOffset));
    end = Math.max(end, shmOffset + len);
  }
  largestHole = Math.max(largestHole, size - end);
  const count = sorted.length === 1 ? '1 mapping' : `${sorted.length} mappings`;
  return `window of ${formatBytes(size)}: ${count}, ${formatBytes(used)} used, largest hole ${formatBytes(largestHole)}`;
}

function bar(groups: Iterable<Group>, size: number, width: number): string {
  const cells: string[] = new Array(width).fill(FREE);
  for (const { letter, entries } of groups) {
    for (const { shmOffset, len } of entries) {
      if (!(shmOffset >= 0 && len > 0 && shmOffset + len <= size)) {
        throw new RangeError(`entry at ${shmOffset}, ${len} bytes: outside a window of ${size}`);
      }
      const first = Math.floor((shmOffset / size) * width);
      const last = Math.max(first, Math.ceil(((shmOffset + len) / size) * width) - 1);
      for (let cell = first; cell <= last; cell += 1) {
        cells[cell] = cells[cell] === FREE || cells[cell] === letter ? letter : SHARED_CELL;
      }
    }
  }
  return cells.join('');
}

function scale(size: number, width: number): string {
  const end = formatBytes(size);
  return ` 0${' '.repeat(Math.max(1, width - 1 - end.length))}${end}`;
}

function legendLine({ letter, label, entries, bytes }: Group): string {
  const places = entries.slice(0, PLACES_SHOWN).map(({ shmOffset, len, state }) => {
    const moving = state === undefined || state === 'live' ? '' : ` (${state})`;
    return `${formatOffset(shmOffset)}+${formatBytes(len)}${moving}`;
  });
  if (entries.length > PLACES_SHOWN) {
    places.push(`and ${entries.length - PLACES_SHOWN} more`);
  }
  return ` ${letter}  ${label}: ${formatBytes(bytes)} at ${places.join(', ')}`;
}

function shorten(label: string): string {
  const text = [...printable(label)];
  return text.length <= LONGEST_LABEL ? text.join('') : `${text.slice(0, LONGEST_LABEL - 1).join('')}…`;
}
