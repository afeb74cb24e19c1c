# A repository of 2000 files: init, add, commit, status, clone, branches, merge, log, gc, fsck.
set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org
export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
cd /tmp
git init -q -b main repo
cd repo
for d in $(seq 1 40); do
    mkdir "dir$d"
    for f in $(seq 1 50); do echo "file $f of $d" >"dir$d/file$f"; done
done
git status --short | wc -l
git add .
git commit -q -m first
git rev-parse HEAD
git status
for d in 3 7 30; do echo more >>"dir$d/file9"; done
git rm -q dir5/file5
git mv dir6/file6 dir6/renamed
git diff --stat
git commit -qam second
git log --stat -M
cd ..
git clone -q repo clone
cd clone
git log --oneline
git checkout -q -b topic
echo topic >dir1/topic && git add . && git commit -qm topic
git checkout -q main
echo main >dir1/main && git add . && git commit -qm main
git merge -q -m merged topic
git log --graph --pretty=%s
git rev-parse HEAD
git gc -q
git fsck 2>&1
git grep -c 'file 50' | wc -l
git push -q origin HEAD:refs/heads/pushed
git -C ../repo rev-parse pushed
git archive HEAD | tar t | wc -l
git worktree add -q ../wt topic && ls ../wt | wc -l
git stash list | wc -l
