// A receiver for the tour: answers 500 to the first two calls of every message, then 200, and prints what it sees.
//   node docs/examples/receiver.mjs [port]
import { createServer } from 'node:http';

const port = Number(process.argv[2] ?? 4000);
const calls = new Map();

createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const id = request.headers['webhook-id'];
    const nth = (calls.get(id) ?? 0) + 1;
    calls.set(id, nth);
    const status = nth <= 2 ? 500 : 200;
    console.log(`${request.headers['x-millrace-event']}  call ${nth} of ${id}  answered ${status}`);
    response.writeHead(status).end();
  });
}).listen(port, '127.0.0.1', () => console.log(`receiver on http://127.0.0.1:${port}`));
