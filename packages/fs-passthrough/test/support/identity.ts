/** Tests of a process that is root, and acts for other users. */
import { expect } from 'chai';

/** Checks of each test of the surrounding `describe`, besides leaks, that the thread is itself again. */
export function checkIdentity(): void {
  let umask = 0;
  before(() => {
    umask = process.umask(0);
  });
  after(() => {
    process.umask(umask);
  });
  afterEach(() => {
    expect([process.geteuid!(), process.getegid!()]).to.deep.equal([process.getuid!(), process.getgid!()]);
  });
}

/** A test that is skipped where the process is not root. */
export function asRoot(title: string, test: () => void): void {
  it(title, function () {
    if (process.geteuid!() !== 0) {
      console.log('      SKIPPED, needs root');
      this.skip();
    }
    test();
  });
}
