/** The IPC end of a driver's process: commands come one at a time, and each gets one answer. */
import type { AnyCommand, DriverAnswer } from './protocol.ts';
import type { RunResult } from './runner.ts';

/** Serves until the bench is gone. @param carryOut - throws what the bench is told of a failure */
export function serveCommands<C extends AnyCommand>(carryOut: (command: C) => RunResult | null): void {
  process.on('message', (command: C) => {
    let answer: DriverAnswer;
    try {
      answer = { kind: 'done', result: carryOut(command) };
    } catch (error) {
      answer = { kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.send!(answer);
  });
  process.on('disconnect', () => process.exit());
}
