/**
 * A process that makes raw accesses to a window of its own, and may die of one. argv: a `TouchOrder` as JSON. Prints one
 * line of JSON an access, once it has survived it.
 */
import { writeSync } from 'node:fs';
import { openSys } from '@oriel/sys';
import { Scene, STORED_WORD } from '../scene.ts';
import type { TouchOrder, TouchResult } from './touch.ts';

const order = JSON.parse(process.argv[2]!) as TouchOrder;
const sys = openSys();
const scene = new Scene(sys, order);
const words = new DataView(sys.mem.view(scene.window.addr, scene.window.size));

for (const { kind, access } of order.accesses) {
  const at = scene.offset(kind);
  const result: TouchResult = { value: 0, wiped: null };
  if (access === 'store') {
    words.setUint32(at, STORED_WORD, true);
  }
  result.value = words.getUint32(at, true);
  if (access === 'store' && kind === 'unmapped') {
    scene.window.wipe();
    result.wiped = words.getUint32(at, true);
  }
  writeSync(1, `${JSON.stringify(result)}\n`);
}
sys.mem.detach(words.buffer as ArrayBuffer);
scene[Symbol.dispose]();
