-- One row of the extract is an order line; the API wants orders. Column names are those of the warehouse.
SELECT
    InvoiceNo AS id,
    -- lines of one invoice can be minutes apart, and have no time zone
    min(InvoiceDate) AT TIME ZONE 'Europe/London' AS date,
    'Europe/London' AS "timeZone",
    CASE WHEN InvoiceNo LIKE 'C%' THEN 'canceled' ELSE 'completed' END AS status,
    'GBP' AS currency,
    sum(UnitPrice * Quantity) AS "totalValue",
    {'crmId': any_value(CustomerID)} AS customer,
    list({
        'id': StockCode,
        'name': Description,
        'price': UnitPrice,
        'quantity': Quantity
    }) AS products
FROM extract
GROUP BY InvoiceNo
