/** Whose a new file is. */
import { openSys, silentLogger } from '@oriel/sys';
import { expect } from 'chai';
import { Credentials } from '../src/credentials.ts';

const USER = 1000;

describe('the owner of what is made for a user', () => {
  for (const [euid, owner] of [
    [0, USER],
    [77, 77],
  ] as const) {
    it(`is ${owner} where the process is ${euid}, so that a process that goes on knows what its predecessor made`, () => {
      const cred = { ...openSys().cred, geteuid: () => euid, setgroups: () => 0 };
      expect(new Credentials(cred, { active: null }, silentLogger, false).owner(USER)).to.equal(owner);
    });
  }
});
