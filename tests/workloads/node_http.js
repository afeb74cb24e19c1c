// node: an HTTP server and clients on loopback, worker threads, child processes, files, timers, streams.
//: shell /usr/bin/node
'use strict';
const http = require('http'), fs = require('fs'), os = require('os'), path = require('path'), zlib = require('zlib');
const net = require('net'), crypto = require('crypto'), { spawn, execFileSync, fork } = require('child_process');
const { Worker, isMainThread, parentPort } = require('worker_threads');

const get = (port, p, body) => new Promise((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1', path: p, method: body ? 'POST' : 'GET' }, response => {
        const chunks = [];
        response.on('data', c => chunks.push(c)).on('end', () => resolve([response.statusCode, Buffer.concat(chunks)]));
    }).on('error', reject);
    request.end(body);
});

async function web() {
    const server = http.createServer((request, response) => {
        const hash = crypto.createHash('sha256');
        request.on('data', c => hash.update(c)).on('end', () => {
            response.writeHead(request.url === '/404' ? 404 : 200);
            response.end(request.url + ' ' + hash.digest('hex'));
        });
    });
    await new Promise(r => server.listen(0, '127.0.0.1', r));
    const { port } = server.address();
    const answers = await Promise.all([...Array(100).keys()].map(i => get(port, '/' + i, i % 2 ? 'x'.repeat(i * 1000) : null)));
    console.log('http', crypto.createHash('md5').update(answers.map(a => a[1]).join()).digest('hex'));
    console.log((await get(port, '/404'))[0]);
    await new Promise(r => server.close(r));
}

async function sockets(dir) {
    const server = net.createServer(s => s.pipe(s)).listen(path.join(dir, 's'));
    await new Promise(r => server.on('listening', r));
    const c = net.connect(path.join(dir, 's'));
    let size = 0;
    c.on('data', d => size += d.length);
    c.end(Buffer.alloc(1000000));
    await new Promise(r => c.on('close', r));
    console.log('unix echo', size);
    server.close();
}

async function children() {
    const child = spawn('sh', ['-c', 'read x; echo "got $x"; exit 5']);
    child.stdin.end('line\n');
    let out = '';
    child.stdout.on('data', d => out += d);
    const code = await new Promise(r => child.on('close', r));
    console.log('child', JSON.stringify(out), code);
    console.log(execFileSync('seq', ['5']).toString().split('\n').length);
    const sleeper = spawn('sleep', ['100']);
    sleeper.kill();
    console.log('killed', await new Promise(r => sleeper.on('exit', (c, s) => r(s))));
    const kid = fork(__filename, ['child']);
    kid.send({ n: 20 });
    console.log('ipc', await new Promise(r => kid.on('message', r)));
    await new Promise(r => kid.on('exit', r));
}

async function threads() {
    const results = await Promise.all([1, 2, 3, 4].map(n => new Promise((resolve, reject) => {
        const worker = new Worker(__filename);
        worker.on('message', m => { resolve(m); worker.terminate(); }).on('error', reject);
        worker.postMessage(n * 1000);
    })));
    console.log('workers', results.join());
}

async function files(dir) {
    await Promise.all([...Array(200).keys()].map(i => fs.promises.writeFile(path.join(dir, 'f' + i), 'data ' + i)));
    const names = (await fs.promises.readdir(dir)).filter(n => n.startsWith('f'));
    const texts = await Promise.all(names.sort().map(n => fs.promises.readFile(path.join(dir, n), 'utf8')));
    console.log('files', names.length, crypto.createHash('md5').update(texts.join()).digest('hex'));
    const big = path.join(dir, 'big');
    await new Promise(r => fs.createReadStream(process.execPath).pipe(zlib.createGzip({ level: 1 }))
        .pipe(zlib.createGunzip()).pipe(fs.createWriteStream(big)).on('finish', r));
    console.log('copied', fs.readFileSync(big).equals(fs.readFileSync(process.execPath)));
    const watcher = await Promise.race([new Promise(r => setTimeout(r, 100000, 'no event').unref()), new Promise(r => {
        const w = fs.watch(dir, (e, name) => { if (name === 'new') { w.close(); r('event for ' + name); } });
        setTimeout(() => fs.writeFileSync(path.join(dir, 'new'), ''), 50);
    })]);
    console.log('watch', watcher);
}

async function main() {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'node-'));
    await web();
    await sockets(dir);
    await children();
    await threads();
    await files(dir);
    await new Promise(r => {
        const late = setTimeout(r, 100000); // a handler alone keeps nobody running
        process.on('SIGUSR2', () => { console.log('signal'); process.exitCode = 23; clearTimeout(late); r(); });
        process.kill(process.pid, 'SIGUSR2');
    });
    const start = Date.now();
    await new Promise(r => setTimeout(r, 50));
    console.log('timer', Date.now() - start >= 49, os.hostname(), os.platform());
}

const fibonacci = n => n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
if (!isMainThread)
    parentPort.once('message', n => parentPort.postMessage(n * n));
else if (process.argv[2] === 'child')
    process.once('message', m => { process.send(fibonacci(m.n)); process.disconnect(); });
else
    main();
//: status 23
