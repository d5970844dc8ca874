import { setImmediate as turn } from 'node:timers/promises';

import { describe, expect, test } from '@jest/globals';

import { News } from './news.js';

describe('news', () => {
  test('of one turn of the event loop wakes a watcher once', async () => {
    const news = new News();
    const watcher = news.watch();
    let woken = 0;
    const asleep = watcher.news(news.version).then(() => woken++);
    for (let n = 0; n < 100; n++) news.tellSoon();
    expect([news.version, woken]).toEqual([0, 0]);
    await asleep;
    await turn();
    expect([news.version, woken]).toEqual([1, 1]);
  });

  test('are told again after they were told', async () => {
    const news = new News();
    const watcher = news.watch();
    for (let n = 1; n <= 3; n++) {
      const { version } = news;
      news.tellSoon();
      await watcher.news(version);
    }
    expect(news.version).toBe(3);
  });

  test('do not put a watcher to sleep that has not seen the newest', async () => {
    const news = new News();
    const { version } = news;
    news.tell();
    await news.watch().news(version);
  });
});
