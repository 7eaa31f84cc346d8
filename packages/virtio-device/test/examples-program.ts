/** An example as a program of its own, and a front-end with drivers on its socket. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd } from '@oriel/sys';
import type { MockFrontend, MockFrontendOptions } from '@oriel/vhost-user/testing';
import type { DriverReply, MockDriver } from '../src/testing/index.ts';
import { driverOn, frontendOn, startRing, sys } from './machine.ts';

/** The front-end's side of a served example. */
export class ConnectedMachine implements Disposable {
  readonly loop = new BlockingLoop(sys);
  readonly mock: MockFrontend;

  constructor(socketPath: string, options: Partial<MockFrontendOptions> = {}) {
    const socket = new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect'));
    this.mock = frontendOn(this.loop, socket, options);
  }

  /** A driver whose ring runs. */
  start(index: number, size = 16): MockDriver {
    const driver = driverOn(this.mock, index, size);
    const { callFd } = startRing(this.mock, index, driver);
    this.loop.watch(callFd, EPOLLIN | EPOLLET, () => {});
    return driver;
  }

  /** Sends a chain and waits for its answer. */
  ask(driver: MockDriver, readable: readonly Uint8Array[], writable: readonly number[]): DriverReply {
    driver.send(readable, writable);
    return this.answer(driver);
  }

  answer(driver: MockDriver): DriverReply {
    let reply = driver.take();
    this.mock.runUntil(() => (reply ??= driver.take()) !== null);
    return reply!;
  }

  /** Reads the configuration space. */
  config(size: number): Uint8Array {
    return this.mock.frontend.wait<Uint8Array>((done) => this.mock.frontend.getConfig(0, size, done));
  }

  [Symbol.dispose](): void {
    this.mock[Symbol.dispose]();
    this.loop[Symbol.dispose]();
  }
}

/** A running example. */
export class ExampleProgram implements AsyncDisposable {
  readonly child: ChildProcess;
  /** Code and signal. */
  readonly ended: Promise<unknown[]>;
  /** What it printed. */
  text = '';

  private constructor(script: string, args: readonly string[]) {
    const path = new URL(`../examples/${script}`, import.meta.url).pathname;
    const flags = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
    this.child = spawn(process.execPath, [...flags, path, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.ended = once(this.child, 'close');
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.text += text;
        this.child.emit('said');
      });
    }
  }

  /** Starts a program of `examples/` and waits until it listens. @throws Error with its words when it ends instead */
  static async start(script: string, ...args: readonly string[]): Promise<ExampleProgram> {
    const program = new ExampleProgram(script, args);
    await program.said(/^listening/m);
    return program;
  }

  /** Waits until what it printed matches. @throws Error with its words when it ends before */
  async said(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) {
      const ended = await Promise.race([once(this.child, 'said').then(() => false), this.ended.then(() => true)]);
      if (ended && !pattern.test(this.text)) throw new Error(`ended without ${pattern}: ${this.text}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }
}
