# sqlite3: locks between processes, journals, WAL with its shared memory.
#: shell /usr/bin/python3
import os
import sqlite3
import subprocess
import threading

os.chdir("/tmp")
for mode in ("delete", "wal", "truncate", "memory"):
    name = f"{mode}.db"
    db = sqlite3.connect(name, timeout=300)
    print(mode, db.execute(f"pragma journal_mode={mode}").fetchone())
    db.execute("create table t (id integer primary key, who text, n int)")
    db.commit()

    def insert(who):
        c = sqlite3.connect(name, timeout=300)
        for i in range(20):
            with c:
                c.execute("insert into t (who, n) values (?, ?)", (who, i))
        c.close()

    pids = []
    for p in range(4):
        pid = os.fork()
        if pid == 0:
            insert(f"process {p}")
            os._exit(0)
        pids.append(pid)
    threads = [threading.Thread(target=insert, args=(f"thread {i}",)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print([os.waitpid(p, 0)[1] for p in pids])
    print(db.execute("select count(*), sum(n), count(distinct who) from t").fetchone())
    print(db.execute("pragma integrity_check").fetchone())
    other = sqlite3.connect(name, timeout=0)
    db.execute("begin immediate")
    try:
        other.execute("begin immediate")
    except sqlite3.OperationalError as e:
        print(e)
    db.rollback()
    print(subprocess.run(["sqlite3", name, "select who, max(n) from t group by who order by 1"], capture_output=True).stdout)
