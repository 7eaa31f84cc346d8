import { MockTransport } from '@oriel/shm-region/testing';
import { ECANCELED, EIO } from '@oriel/sys';
import { expect } from 'chai';
import { setUp } from './helpers.ts';

const CANCELED = -ECANCELED;

describe('BackendRegion that forgets', () => {
  describe('forget', () => {
    it('empties the ledger without a message and cancels every wait', () => {
      const { region, transport, map, unmap, told, ledger, sent } = setUp({ maxInFlight: 2 });
      map('live', 0, 1);
      map('going', 1, 1);
      transport.answerAll();
      unmap('u-sent', 1, 1);
      map('m-sent', 2, 1);
      unmap('u-waits', 0, 1);
      map('m-waits', 3, 1);
      told.length = 0;
      region.forget();
      expect(told).to.have.members([
        `u-sent ${CANCELED}`,
        `m-sent ${CANCELED}`,
        `u-waits ${CANCELED}`,
        `m-waits ${CANCELED}`,
      ]);
      expect(ledger()).to.deep.equal([]);
      expect(region.stats).to.include({ mapped: 0, mappedBytes: 0 });
      expect(sent()).to.have.length(4);
    });

    it('unmaps what the front-end maps after it was forgotten, before anything else', () => {
      const { region, transport, map, unmap, told, ledger, sent } = setUp();
      map('a', 0, 1);
      region.forget();
      map('b', 0, 1);
      expect(sent()).to.deep.equal(['map 0+1']);
      transport.answer();
      expect(told).to.deep.equal([`a ${CANCELED}`]);
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1']);
      transport.answer();
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1', 'map 0+1']);
      transport.answer();
      expect(ledger()).to.deep.equal(['b@0+1 live']);
      unmap('u', 0, 1);
      region.forget();
      transport.answer();
      expect(told).to.deep.equal([`a ${CANCELED}`, 'b 0', `u ${CANCELED}`]);
      expect(region.stats).to.deep.equal({ mapped: 0, mappedBytes: 0, maps: 1, unmaps: 0, refused: 0 });
    });

    it('unmaps it after the next start, when the rings had stopped', () => {
      const { region, transport, map, told, sent } = setUp();
      map('a', 0, 1);
      region.suspend();
      region.forget();
      transport.answer();
      expect(sent()).to.deep.equal(['map 0+1']);
      region.resume();
      map('b', 0, 1);
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1']);
      transport.answer(-EIO); // the reset came after all: nothing was there
      transport.answer();
      expect(told).to.deep.equal([`a ${CANCELED}`, 'b 0']);
    });

    it('unmaps it at the next start, when the message was not sent after all', () => {
      const { region, transport, map, sent } = setUp();
      map('a', 0, 1);
      region.forget();
      transport.answer();
      transport.ready = false;
      transport.answer(CANCELED);
      region.suspend();
      transport.ready = true;
      region.resume();
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1', 'unmap 0+1']);
      transport.answer(CANCELED);
      region.forget();
      region.resume();
      expect(sent(), 'dropped by another reset').to.have.length(4);
      transport.answer(CANCELED);
      expect(sent()).to.have.length(4);
    });

    it('sends nothing for a place before it is known what a forgotten map came to', () => {
      const { region, transport, map, told, ledger, sent } = setUp({ maxInFlight: 3 });
      map('a', 0, 1);
      region.forget();
      map('b', 0, 1);
      expect(sent()).to.deep.equal(['map 0+1']);
      transport.answer();
      expect(sent()).to.deep.equal(['map 0+1', 'unmap 0+1', 'map 0+1']);
      transport.answer(-EIO);
      transport.answer();
      expect(told).to.deep.equal([`a ${CANCELED}`, 'b 0']);
      expect(ledger()).to.deep.equal(['b@0+1 live']);
    });

    it('needs no message for a late refusal', () => {
      const { region, transport, map, sent } = setUp();
      map('a', 0, 1);
      region.forget();
      transport.answer(-EIO);
      map('b', 0, 1);
      expect(sent()).to.deep.equal(['map 0+1', 'map 0+1']);
    });

    it('drops unmaps that were due', () => {
      const { region, transport, map, unmap, told, sent } = setUp();
      map('a', 0, 1);
      transport.answer();
      region.suspend();
      unmap('u', 0, 1);
      region.forget();
      expect(told).to.deep.equal(['a 0', `u ${CANCELED}`]);
      region.resume();
      expect(sent()).to.deep.equal(['map 0+1']);
    });

    it('forgets a replacement and what it would have replaced', () => {
      const { region, transport, map, told, ledger } = setUp({ overlap: 'replace' });
      map('old', 0, 1);
      transport.answer();
      map('new', 0, 1);
      region.forget();
      transport.answer();
      expect(told).to.deep.equal(['old 0', `new ${CANCELED}`]);
      expect(ledger()).to.deep.equal([]);
      expect(region.stats.mapped).to.equal(0);
    });
  });

  describe('setTransport', () => {
    it('forgets with the connection, and ignores its late answers', () => {
      const { region, transport, map, told, ledger } = setUp();
      map('live', 0, 1);
      transport.answer();
      map('sent', 1, 1);
      const next = new MockTransport();
      region.setTransport(next);
      expect(told).to.deep.equal(['live 0', `sent ${CANCELED}`]);
      expect(ledger()).to.deep.equal([]);
      map('new', 1, 1);
      map('newer', 2, 1);
      transport.answer();
      expect(next.sent).to.have.length(1);
      expect(ledger()).to.deep.equal(['new@1+1 mapping', 'newer@2+1 mapping']);
      next.answerAll();
      expect(told.slice(2)).to.deep.equal(['new 0', 'newer 0']);
    });

    it('keeps everything when the transport is the same', () => {
      const { region, transport, map, ledger } = setUp();
      map('live', 0, 1);
      transport.answer();
      region.setTransport(transport);
      expect(ledger()).to.deep.equal(['live@0+1 live']);
    });
  });
});
