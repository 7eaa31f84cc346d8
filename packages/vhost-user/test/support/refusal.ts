/** How a back-end refuses a message: to the front-end, and to its device. */
import type { MessageSpec } from '../../src/index.ts';
import { u32s, u64s } from './prelude.ts';
import type { BackendSetup } from './setup.ts';

/** The payload with which a message says no, as hex of a whole reply; null: it has no way to say it. */
export function refusal(spec: MessageSpec, asked: boolean): string | null {
  const own = spec.reply === 'ack' ? null : spec.reply.refusal;
  if (spec.reply === 'ack' ? !asked : own === null || (own.onlyIfAsked && !asked)) {
    return null;
  }
  const payload = own === null ? u64s(1) : own.payload;
  return Buffer.from([...u32s(spec.id, 5, payload.length), ...payload]).toString('hex');
}

/** The code in the reason that the device was told. */
export function reason(setup: BackendSetup): string {
  const last = setup.handler.calls.at(-1) ?? '';
  return /ERR_VU_\w+/.exec(last)?.[0] ?? last;
}
