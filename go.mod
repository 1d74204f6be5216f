module github.com/redoubt-ml/redoubt

go 1.26
