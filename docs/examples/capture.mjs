// Saves every request that comes in as request-1.http, request-2.http …, byte for byte: node capture.mjs [port]
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';

let count = 0;
const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const head = [`${request.method} /api/v1/webhooks/inbound/{slug} HTTP/1.1`];
    const { rawHeaders } = request;
    for (let at = 0; at < rawHeaders.length; at += 2)
      head.push(`${rawHeaders[at].toLowerCase()}: ${rawHeaders[at + 1]}`);
    const file = `request-${++count}.http`;
    writeFileSync(file, Buffer.concat([Buffer.from(`${head.join('\n')}\n\n`, 'latin1'), ...chunks]));
    console.log(`saved ${file}`);
    response.writeHead(202).end();
  });
});
server.listen(Number(process.argv[2] ?? 4000), '127.0.0.1', () =>
  console.log(`listening at http://127.0.0.1:${server.address().port}`),
);
