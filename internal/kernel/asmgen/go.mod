module github.com/redoubt-ml/redoubt/internal/kernel/asmgen

go 1.26
