import { fstatSync } from 'node:fs';
import { type Fd, silentLogger } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { LocalStore } from '../src/index.ts';
import { SessionState } from '../src/survival/session-state.ts';
import { sys } from './machine.ts';
import { memfd } from './memfd.ts';

describe('SessionState', () => {
  const open = (store: LocalStore, size = 64, log = silentLogger) =>
    new SessionState({ sys, store, prefix: 'dev', size, log });

  it('is zero at the start of a session, and forgets what the one before kept', () => {
    const leaks = leakCheck();
    {
      using store = new LocalStore(sys.fd);
      using state = open(store);
      using fd = memfd();
      expect(state.keep('a', fd)).to.equal(true);
      state.bytes.fill(7);
      state.clear();
      expect([...new Set(state.bytes)]).to.deep.equal([0]);
      expect(state.take('a')).to.equal(null);
    }
    leaks.check();
  });

  it('takes up what is held, unless it is of another size', () => {
    using store = new LocalStore(sys.fd);
    {
      using state = open(store);
      state.bytes[3] = 9;
    }
    {
      using state = open(store);
      expect(state.bytes[3]).to.equal(9);
    }
    const said: string[] = [];
    using other = open(store, 128, { ...silentLogger, warn: (text: string) => said.push(text) });
    expect(other.bytes[3]).to.equal(0);
    expect(said.length).to.equal(1);
  });

  it('keeps so many descriptors and no more: a guest has a say in how many', () => {
    using store = new LocalStore(sys.fd);
    using fd = memfd();
    {
      using state = open(store);
      for (let name = 0; name < 1024; name++) expect(state.keep(`${name}`, fd)).to.equal(true);
      expect(state.keep('one-more', fd)).to.equal(false);
      expect(state.keep('7', fd), 'in the place of another').to.equal(true);
      state.forget('7');
      expect(state.keep('one-more', fd)).to.equal(true);
    }
    using next = open(store);
    expect(next.keep('and-another', fd)).to.equal(false);
    expect(store.names.length).to.equal(1025);
    next.clear();
    expect(store.names).to.deep.equal(['dev.state']);
    expect(next.keep('and-another', fd)).to.equal(true);
  });

  it('takes memory only for what was written, and gives it back', () => {
    const size = 64 << 20;
    using store = new LocalStore(sys.fd);
    using state = open(store, size);
    using other = new LocalStore(sys.fd);
    using copy = open(other, size);
    using file = store.take('dev.state')!;
    using copied = other.take('dev.state')!;
    const blocks = (fd: Fd): number => fstatSync(fd.fd).blocks * 512;
    state.bytes[size - 1] = 7;
    state.bytes[1 << 20] = 8;
    state.copyTo(copy);
    expect([copy.bytes[1 << 20], copy.bytes[size - 1]]).to.deep.equal([8, 7]);
    expect([blocks(file), blocks(copied)].every((bytes) => bytes > 0 && bytes < 1 << 20)).to.equal(true);
    copy.bytes[5] = 5;
    state.copyTo(copy);
    expect(copy.bytes[5], 'what was there').to.equal(0);
    state.clear();
    expect(blocks(file)).to.equal(0);
    expect([state.bytes[1 << 20], state.bytes[size - 1]]).to.deep.equal([0, 0]);
  });

  it('refuses names that no store can hold', () => {
    using store = new LocalStore(sys.fd);
    using state = open(store);
    using fd = memfd();
    for (const name of ['', 'a:b', 'a\nb', 'x'.repeat(65)]) {
      expect(() => state.keep(name, fd)).to.throw(RangeError);
      expect(() => state.take(name)).to.throw(RangeError);
    }
  });
});
