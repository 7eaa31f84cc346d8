/** What the bench and its driver processes say to each other. */
import type { RunResult } from './runner.ts';

/** What every command has. */
export interface AnyCommand {
  readonly kind: string;
  /** The back-end that it is about. */
  readonly side: string;
  /** Length of a run. */
  readonly seconds?: number;
}

/** Starts a session. */
export interface ConnectCommand extends AnyCommand {
  readonly kind: 'connect';
  readonly socketPath: string;
  readonly shareDir: string;
  /** Request queues that operations are spread over. */
  readonly requestQueues: number;
}

/** Makes the workload ready, and runs its verification pass. */
export interface PrepareCommand extends AnyCommand {
  readonly kind: 'prepare';
  readonly workload: string;
}

/** Runs a workload once; this alone has a result. */
export interface RunCommand extends AnyCommand {
  readonly kind: 'run';
  readonly workload: string;
  readonly depth: number;
  readonly seconds: number;
  /** Process of the back-end; 0: whoever listens on its socket, where the driver asks for that. */
  readonly pid: number;
}

/** A command to the driver of file systems. */
export type DriverCommand = ConnectCommand | PrepareCommand | RunCommand;

/** The answer to a command; only a `run` has a result. */
export type DriverAnswer =
  | { readonly kind: 'done'; readonly result: RunResult | null }
  | { readonly kind: 'failed'; readonly message: string };
