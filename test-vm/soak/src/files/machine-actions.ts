/** Actions of the machine around the guest: it pauses, resets, dies, and its front-end is slow or refuses. */
import { EIO, SysError } from '@oriel/sys';
import { DAX_RANGE, type PendingRequest } from '@oriel/test-vm-loopback';
import { must } from '../errors.ts';
import { someFile } from './data-actions.ts';
import type { Session } from './session.ts';

const MOST_DELAY_MS = 3;
const MOST_TRIES = 5;
/** Mappings made or refused while the front-end is at its worst: each wait takes a tenth of a second. */
const SLOW_ROUNDS = 2;

/** One of the actions, by name; those that end the session are not among them. */
export type MachineAction = 'pause' | 'pause in flight' | 'temper' | 'refuse' | 'keep silent';

/** Does it. */
export function actOnMachine(session: Session, action: MachineAction): void {
  switch (action) {
    case 'pause':
      session.vm.pause();
      session.vm.resume();
      break;
    case 'pause in flight':
      pauseInFlight(session);
      break;
    case 'temper':
      temper(session);
      break;
    case 'refuse':
      refuse(session);
      break;
    case 'keep silent':
      keepSilent(session);
      break;
  }
}

/** Requests are on their way when the machine stops. They are answered before, or behind the pause. */
function pauseInFlight(session: Session): void {
  const { random, tally } = session.around;
  const { client, files, vm } = session;
  const { nodeid } = files.inode(someFile(session));
  const pending: { readonly request: PendingRequest; readonly done: () => void; readonly mayFail: MayFail }[] = [];
  const never = (): boolean => false;
  if (random.once(2)) {
    pending.push({ request: client.send('GETATTR', files.encoder.getattr(nodeid)), done: () => {}, mayFail: never });
  }
  const mapping = startMapping(session);
  if (mapping !== null) pending.push(mapping);
  if (random.once(2)) {
    pending.push({ request: client.send('STATFS', files.encoder.statfs(1)), done: () => {}, mayFail: never });
  }
  if (random.once(2)) vm.loop.runOnce(0);
  vm.pause();
  vm.resume();
  for (const { request, done, mayFail } of pending) {
    const error = errnoOf(() => client.finish(request));
    if (error === 0) done();
    else must(mayFail(error), `${request.name} over a pause: errno ${error}`);
  }
  if (mapping === null) return;
  tally.saw('mapping over a pause');
  session.caughtInFlight++;
}

type MayFail = (error: number) => boolean;

/** SETUPMAPPING of what is not in the window yet, if there is such and a slot is free. */
function startMapping(session: Session): { request: PendingRequest; done: () => void; mayFail: MayFail } | null {
  const { random } = session.around;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const file = someFile(session);
    if (file.bytes.size === 0 || !session.usesWindow(file)) continue;
    const { nodeid } = session.files.inode(file);
    const offset = random.below(file.bytes.size);
    const range = Math.floor(offset / DAX_RANGE);
    if (session.slots.shows(nodeid, range)) continue;
    const started = session.slots.start(nodeid, range);
    if (started === null) return null;
    const mayFail = (error: number): boolean => session.mayRefuse(file, offset, error);
    return { request: started.pending, done: started.done, mayFail };
  }
  return null;
}

/** How the front-end treats mapping requests from now on, as a real one might. */
function temper(session: Session): void {
  const { random } = session.around;
  const { behaviour } = session.vm.window;
  behaviour.update = random.pick(['after-reply', 'after-reply', 'before-reply']);
  behaviour.changeDelayMs = random.once(3) ? random.below(MOST_DELAY_MS) : 0;
  behaviour.updateDelayMs = random.once(3) ? random.below(MOST_DELAY_MS) : 0;
}

/** The front-end refuses a mapping: the guest hears of it, and nothing is left of it. */
function refuse(session: Session): void {
  const { random, tally } = session.around;
  const file = someFile(session);
  if (file.bytes.size === 0 || !session.usesWindow(file)) return;
  const { nodeid } = session.files.inode(file);
  const offset = random.below(file.bytes.size);
  if (session.slots.shows(nodeid, Math.floor(offset / DAX_RANGE))) return;
  const { behaviour } = session.vm.window;
  session.misbehaved = true;
  behaviour.refuse = (kind) => (kind === 'map' ? -EIO : 0);
  const error = session.slots.reach(nodeid, offset, 1);
  behaviour.refuse = () => 0;
  must(error === EIO || session.mayRefuse(file, offset, error as number), `a refused mapping: ${String(error)}`);
  tally.saw('mapping refused');
}

/** The front-end keeps mappings to itself: the back-end must find out by another way when they are visible. */
function keepSilent(session: Session): void {
  const { behaviour } = session.vm.window;
  const { update } = behaviour;
  session.misbehaved = true;
  behaviour.update = 'never';
  for (let round = 0; round < SLOW_ROUNDS; round++) {
    const file = someFile(session);
    if (file.bytes.size === 0 || !session.usesWindow(file)) continue;
    const piece = session.slots.reach(session.files.inode(file).nodeid, 0, 1);
    if (typeof piece === 'number') must(session.mayRefuse(file, 0, piece), `a silent front-end: errno ${piece}`);
  }
  behaviour.update = update;
}

function errnoOf(call: () => void): number {
  try {
    call();
    return 0;
  } catch (error) {
    if (error instanceof SysError) return error.errno;
    throw error;
  }
}
