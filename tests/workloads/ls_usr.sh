# Every file of a distribution by name, mode, owner, size and time.
ls -lR --time-style=full-iso /usr
ls -lR --time-style=full-iso /usr | sha256sum
ls -la / | awk '{print $1, $9}' | grep -vE ' (\.|\.\.|test|dev|proc|sys)$'
