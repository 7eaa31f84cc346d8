/** The back-end under test: one that runs, or one that is started anew for each clause. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSys } from '@oriel/sys';
import { type Clause, type Judgement, judge, type KnownDevice, Peer, type ProbeResult } from '@oriel/torture';
import type { TortureCall } from '../commands/torture.ts';
import { BackendProcess } from './backend-process.ts';

const START_MS = 20_000;

/** What the suite is run against. */
export interface Target extends AsyncDisposable {
  /** Two honest sessions, one after the other, as far as the back-end serves a second one. */
  probe(device: KnownDevice | null): Promise<ProbeResult>;
  run(clause: Clause, device: KnownDevice | null): Promise<Judgement & { readonly ms: number }>;
  /** Whether another clause can be run after one that hung or killed. */
  readonly recovers: boolean;
}

/** A back-end that runs, and has to go on running. */
function openRunning(socketPath: string, timeoutMs: number): Target {
  const sys = openSys();
  const peer = new Peer({ sys, timeoutMs, connect: () => sys.socket.connectUnix(socketPath) });
  return {
    async probe(device) {
      const first = peer.probe(device);
      if (first.kind !== 'served') return first;
      const second = peer.probe(device);
      return second.kind === 'served'
        ? second
        : {
            kind: second.kind,
            detail: `${second.detail} (it served one connection: give --command to start one for each clause)`,
          };
    },
    async run(clause, device) {
      const seen = peer.run(clause, device);
      return { ...judge(seen, null), ms: seen.ms };
    },
    recovers: false,
    async [Symbol.asyncDispose]() {
      peer[Symbol.dispose]();
    },
  };
}

/** A back-end for each clause. */
function openCommand(command: string, given: string | undefined, timeoutMs: number): Target {
  const sys = openSys();
  const dir = mkdtempSync(join(tmpdir(), 'oriel-torture-'));
  const socketPath = given ?? join(dir, 'socket');
  const logPath = join(dir, 'log');
  const line = command.replaceAll('{socket}', `'${socketPath.replaceAll("'", "'\\''")}'`);
  const connect = () => sys.socket.connectUnix(socketPath);
  const clean = (): void => rmSync(dir, { recursive: true, force: true });
  process.once('exit', clean);
  let servesOnce = false;

  async function withBackend<T>(work: (backend: BackendProcess, peer: Peer) => Promise<T>): Promise<T> {
    const backend = await BackendProcess.start(line, socketPath, logPath, START_MS);
    try {
      using peer = new Peer({ sys, timeoutMs, connect, servesOnce });
      return await work(backend, peer);
    } finally {
      await backend.stop();
    }
  }

  return {
    probe: (device) =>
      withBackend(async (backend, peer) => {
        const first = peer.probe(device);
        if (first.kind !== 'served') return first;
        const second = peer.probe(device);
        if (second.kind === 'served') return second;
        // It may well end with its one connection.
        servesOnce = (await backend.awaitEnd(timeoutMs)) !== null;
        return servesOnce ? first : second;
      }),
    run: (clause, device) =>
      withBackend(async (backend, peer) => {
        const seen = peer.run(clause, device);
        const end = seen.next.kind === 'served' ? backend.end : await backend.awaitEnd(timeoutMs);
        const { verdict, detail } = judge(seen, end);
        const words = verdict === 'DEAD' && backend.lastLine !== '' ? `${detail}: ${backend.lastLine}` : detail;
        return { verdict, detail: words, ms: seen.ms };
      }),
    recovers: true,
    async [Symbol.asyncDispose]() {
      process.off('exit', clean);
      clean();
    },
  };
}

/** Opens what a call names. Nothing is connected or started yet. */
export function openTarget({ socketPath, command, timeoutMs }: TortureCall): Target {
  return command === undefined ? openRunning(socketPath!, timeoutMs) : openCommand(command, socketPath, timeoutMs);
}
