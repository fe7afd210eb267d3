module one-version

go 1.24
