/** Who answers a request: the program itself, or one of its devices. */
import { type ControlAnswer, ControlError, type ControlRequest } from '../device-module.ts';
import type { DeviceThread } from '../device-thread.ts';
import type { Pictures } from '../screenshots/pictures.ts';
import { deviceCommands } from './commands.ts';
import type { ScreenshotEntry } from './protocol.ts';

/** What of a device's thread is needed here. */
export type Answering = Pick<DeviceThread, 'name' | 'plan' | 'request'>;

/** The device that a request names. */
function named(threads: readonly Answering[], name: unknown): Answering {
  const found = threads.find((thread) => thread.name === name);
  if (found === undefined) {
    throw new ControlError(`no device '${String(name)}': there are ${threads.map((thread) => thread.name).join(', ')}`);
  }
  return found;
}

/** The device that a request names, or the only one that can be meant. */
function choose(threads: readonly Answering[], { command, device }: ControlRequest): Answering {
  const type = Object.hasOwn(deviceCommands, command) ? deviceCommands[command] : undefined;
  if (type === undefined) {
    const known = ['devices', 'stats', 'handover', ...Object.keys(deviceCommands)];
    throw new ControlError(`unknown command '${command}': there are ${known.join(', ')}`);
  }
  if (device !== undefined) {
    return named(threads, device);
  }
  const fitting = threads.filter((thread) => thread.plan.type === type);
  if (fitting.length === 1) {
    return fitting[0]!;
  }
  const names = fitting.map((thread) => thread.name).join(', ');
  throw new ControlError(fitting.length === 0 ? `there is no ${type} device` : `which device? --device ${names}`);
}

function describe({ name, plan }: Answering): object {
  const { type, socketPath, fd, frontend } = plan;
  return { device: name, type, frontend, ...(socketPath === undefined ? { fd } : { socketPath }) };
}

async function entriesOf(answer: ControlAnswer, pictures: Pick<Pictures, 'encode'>): Promise<readonly object[]> {
  if (answer.kind === 'entries') {
    return answer.entries;
  }
  const { scanout, width, height } = answer.frame;
  const png = Buffer.from(await pictures.encode(answer.frame)).toString('base64');
  return [{ scanout, width, height, png } satisfies ScreenshotEntry];
}

async function statsOf(thread: Answering): Promise<object> {
  const answer = await thread.request({ command: 'stats' });
  return { device: thread.name, ...(answer.kind === 'entries' ? answer.entries[0] : {}) };
}

/** Answers requests about devices. @param threads - looked at for each request anew */
export function answerer(
  threads: readonly Answering[],
  pictures: Pick<Pictures, 'encode'>,
  handOver: () => Promise<readonly string[]>,
): (request: ControlRequest) => Promise<readonly object[]> {
  return async (request) => {
    const { command, device } = request;
    switch (command) {
      case 'devices':
        return threads.map(describe);
      case 'handover':
        return (await handOver()).map((refused) => ({ refused }));
      case 'stats':
        return Promise.all((device === undefined ? threads : [named(threads, device)]).map(statsOf));
      default:
        return entriesOf(await choose(threads, request).request(request), pictures);
    }
  };
}
