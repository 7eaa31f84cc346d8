/** Carries out `oriel torture`: verdicts go to standard output. */
import { allClauses, deviceClauses, type KnownDevice, knownDevice, knownDevices, selectClauses } from '@oriel/torture';
import type { TortureCall } from './commands/torture.ts';
import { BackendStartError } from './torture/backend-process.ts';
import { jsonReport, type Report, tableReport } from './torture/report.ts';
import { openTarget, type Target } from './torture/target.ts';

const GOOD = 0;
const BAD = 1;

/** A device that answers honest requests, or what keeps the suite from running. */
type Found = { readonly device: KnownDevice | null } | { readonly failure: string };

/** Devices to try; null stands for one that the suite does not know. */
function candidates(name: string): readonly (KnownDevice | null)[] {
  return name === 'auto' ? [...knownDevices, null] : [knownDevice(name)];
}

async function findDevice(target: Target, name: string): Promise<Found> {
  let failure = '';
  for (const device of candidates(name)) {
    const result = await target.probe(device);
    if (result.kind === 'served') return { device };
    failure = result.detail;
    if (result.kind === 'unreachable') break;
  }
  return { failure };
}

async function runClauses(
  target: Target,
  device: KnownDevice | null,
  call: TortureCall,
  report: Report,
): Promise<void> {
  const clauses = selectClauses(allClauses(device), call.clause);
  report.begin(device?.name ?? 'unknown', clauses.length);
  for (const [index, clause] of clauses.entries()) {
    const { verdict, detail, ms } = await target.run(clause, device);
    report.add({ clause, verdict, detail, ms });
    const bad = verdict === 'HANG' || verdict === 'DEAD';
    if (bad && !target.recovers && (await target.probe(device)).kind !== 'served') {
      const left = clauses.length - index - 1;
      report.end(
        `the back-end serves nobody after ${clause.id}, ${left} clauses were not run (--command starts one for each)`,
      );
      return;
    }
  }
  report.end(null);
}

function list(call: TortureCall, out: NodeJS.WritableStream): void {
  const all = [...allClauses(null), ...knownDevices.flatMap(deviceClauses)];
  const named = call.device === 'auto' ? all : allClauses(knownDevice(call.device));
  for (const { id, source, sent } of selectClauses(named, call.clause)) {
    out.write(
      call.format === 'json' ? `${JSON.stringify({ clause: id, source, sent })}\n` : `${id}\t${source}\t${sent}\n`,
    );
  }
}

/**
 * Runs the suite.
 * @param complain - told, in one line, what keeps it from running
 * @returns the exit status: 0 when nothing hung or died
 */
export async function runTorture(
  call: TortureCall,
  out: NodeJS.WritableStream,
  complain: (line: string) => void,
): Promise<number> {
  if (call.work === 'list') {
    list(call, out);
    return GOOD;
  }
  // What was started ends with this process, by what `exit` brings about.
  const leave = (): void => process.exit(BAD);
  process.once('SIGINT', leave).once('SIGTERM', leave);
  const report = call.format === 'json' ? jsonReport(out) : tableReport(out);
  await using target = openTarget(call);
  try {
    const found = await findDevice(target, call.device);
    if ('failure' in found) {
      complain(`no honest session: ${found.failure}`);
      return BAD;
    }
    await runClauses(target, found.device, call, report);
    return report.good ? GOOD : BAD;
  } catch (error) {
    if (!(error instanceof BackendStartError)) throw error;
    complain(error.message);
    return BAD;
  } finally {
    process.off('SIGINT', leave).off('SIGTERM', leave);
  }
}
